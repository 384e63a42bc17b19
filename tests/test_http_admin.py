"""Tests for wsmb.http.admin, page_files and routes: what the page for people gets and does.

Its channels are in test_http_channels.
"""

from __future__ import annotations

import re
from importlib.resources import files

from tests.support_http import KEPT, rules
from tests.support_protocol import client_frame
from tests.test_http_requests import RequestCase
from wsmb.http.page_files import FILES
from wsmb.http.routes import CHANNEL, CONNECTION, FILE, pattern


class OverviewTests(RequestCase):
    def test_what_it_counts(self) -> None:
        world = self.world(default_channel=KEPT)
        world.receiver("sms", ack=True)
        sender = world.greeted()
        sender.receive(client_frame(b'{"command":"send-message","channel":"sms","data":[1,2]}'))
        world.ask("POST", "/channels/other", [1, 2, 3])
        found = world.ask("GET", "/admin/overview").json
        self.assertEqual((found["connections"], found["connections_opened"], found["channels"]), (2, 2, 2))
        self.assertEqual((found["outstanding"], found["proved"], found["waiting_items"]), (1, 0, 3))
        self.assertEqual((found["frames_received"], found["user"]), (2, "qa"))
        before = found["frames_sent"]
        sender.lose()
        self.assertEqual(world.ask("GET", "/admin/overview").json["frames_sent"], before)

    def test_how_late_timers_are(self) -> None:
        world = self.world()
        world.clock.advance(0.1)
        world.clock.advance(0.6)
        lag = world.ask("GET", "/admin/overview").json["reactor_lag"]
        self.assertEqual(sum(lag["counts"]), 2)
        self.assertAlmostEqual(lag["sum_s"], 0.5)


class ConnectionsTests(RequestCase):
    def test_who_is_there(self) -> None:
        world = self.world(default_channel=KEPT)
        world.greeted()
        world.clock.advance(5)
        world.receiver("sms", ack=True)
        world.ask("POST", "/channels/sms", 1)
        answer = world.ask("GET", "/admin/connections").json
        self.assertEqual(answer["total"], 2)
        newer, older = answer["connections"]
        self.assertEqual((newer["outstanding"], older["outstanding"]), (1, 0))
        self.assertEqual((newer["user"], older["age_s"] - newer["age_s"] >= 5), ("qa", True))
        self.assertEqual(newer["frames_received"], 1)
        for sort, first in (("oldest", older), ("outstanding", newer), ("user", older)):
            rows = world.ask("GET", f"/admin/connections?sort={sort}").json["connections"]
            self.assertEqual(rows[0]["id"], first["id"], sort)
        self.assertEqual(world.ask("GET", "/admin/connections?find=nobody").json["total"], 0)

    def test_one_is_ended_and_the_other_is_not(self) -> None:
        world = self.world()
        one, other = world.greeted(), world.greeted()
        newest = world.ask("GET", "/admin/connections").json["connections"][0]["id"]
        self.assertEqual(world.ask("POST", f"/admin/connections/{newest}/end").json, {"ended": newest})
        world.turn()
        self.assertTrue(other.transport.disconnecting or not other.transport.connected)
        self.assertFalse(one.transport.disconnecting)

    def test_nobody_has_that_number(self) -> None:
        self.assertEqual(self.world().ask("POST", "/admin/connections/7/end").status, 404)

    def test_a_page_of_another_site_ends_nothing(self) -> None:
        world = self.world()
        world.greeted()
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            self.assertEqual(world.ask("POST", "/admin/connections/1/end", headers=headers).status, 403)
        self.assertEqual(len(world.factory.connections), 1)


class AccessTests(RequestCase):
    def test_only_for_who_may_administer(self) -> None:
        world = self.world(access=rules("allow ops admin *", "allow qa * *"))
        world.greeted()
        for method, path in (
            ("GET", "/admin/overview"),
            ("GET", "/admin/channels"),
            ("GET", "/admin/connections"),
            ("POST", "/admin/connections/1/end"),
        ):
            self.assertEqual(world.ask(method, path).status, 403)
            self.assertEqual(world.ask(method, path, user=None).status, 401)
            self.assertEqual(world.ask(method, path, user="ops").status, 200)


class PageTests(RequestCase):
    def test_it_is_served_to_who_is_let_in(self) -> None:
        world = self.world()
        answer = world.ask("GET", "/")
        self.assertEqual(answer.headers["content-type"], "text/html; charset=utf-8")
        self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
        self.assertIn("default-src 'none'; script-src 'self'", answer.headers["content-security-policy"])
        self.assertIn("frame-ancestors 'none'", answer.headers["content-security-policy"])
        self.assertEqual(world.ask("GET", "/", user=None).status, 401)

    def test_all_files_and_no_others(self) -> None:
        world = self.world()
        for name in FILES:
            answer = world.ask("GET", f"/page/{name}")
            self.assertEqual((answer.status, answer.headers["content-type"]), (200, FILES[name]))
        there = {each.name for each in files("wsmb.http").joinpath("page").iterdir()}
        self.assertEqual(there, set(FILES))
        for name in ("nothing.js", "..%2Fopenapi.json", "%2e%2e", ""):
            self.assertEqual(world.ask("GET", f"/page/{name}").status, 404)

    def test_it_loads_what_is_served_and_nothing_from_elsewhere(self) -> None:
        for name in set(FILES) - {"uPlot.iife.min.js", "uPlot.LICENSE"}:
            text = files("wsmb.http").joinpath("page", name).read_text()
            self.assertNotIn("://", text)
            self.assertNotRegex(text, r"<script>|<style|\son[a-z]+=|style=")
            for path in re.findall(r'(?:src|href)="/page/([^"]+)"|from "\./([^"]+)"', text):
                self.assertIn("".join(path), FILES)


class RoutesTests(RequestCase):
    def test_which_parts_may_be_anything(self) -> None:
        self.assertEqual(pattern(["channels", "sms", "events"]), ("channels", CHANNEL, "events"))
        self.assertEqual(
            pattern(["admin", "connections", "7", "end"]), ("admin", "connections", CONNECTION, "end")
        )
        self.assertEqual(pattern(["page", "page.js"]), ("page", FILE))
        for path in (["admin", "connections"], ["channels"], [""], ["admin", "channels"]):
            self.assertEqual(pattern(path), tuple(path))
