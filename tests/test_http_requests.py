"""Tests for wsmb.http.call, entrance and side: who is let in, what is there, and how the broker is."""

from __future__ import annotations

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.support_http import KEPT, HttpClient, HttpWorld, rules
from tests.support_protocol import basic, request
from wsmb.http.routes import CHANNEL
from wsmb.settings import Limits

SMS = "/channels/sms"


class RequestCase(SynchronousTestCase):
    def world(self, **settings: object) -> HttpWorld:
        world = HttpWorld(**settings)
        self.addCleanup(world.close)
        return world

    def statuses(self, client: HttpClient) -> list[int]:
        """Of all that has been answered."""
        client.world.turn()
        data = client.transport.value()
        client.transport.clear()
        lines = [line for line in data.split(b"\r\n") if b"HTTP/1.1 " in line]
        return [int(line.partition(b"HTTP/1.1 ")[2].split()[0]) for line in lines]


class DescriptionTests(RequestCase):
    def test_all_that_is_described_is_there_and_nothing_else(self) -> None:
        world = self.world()
        described = {
            (path, method.upper())
            for path, item in world.description.document["paths"].items()
            for method in item
            if method != "parameters"
        }
        there = {
            ("/" + "/".join(path), method)
            for path, actions in world.http.routes.items()
            for method in actions
        }
        self.assertEqual(there, described)

    def test_the_arguments_of_each(self) -> None:
        world = self.world()
        for path, actions in world.http.routes.items():
            for method, action in actions.items():
                operation = world.description.operation(method, "/" + "/".join(path))
                described = [each for each in operation.get("parameters", ()) if each["in"] == "query"]
                self.assertEqual({each["name"] for each in described}, set(action.arguments))
                self.assertEqual(operation.get("security") == [], not action.needs_user)

    def test_it_is_served(self) -> None:
        world = self.world()
        answer = world.ask("GET", "/openapi.json", user=None)
        self.assertEqual(answer.json["openapi"], "3.1.0")
        self.assertIn(f"/channels/{CHANNEL}", answer.json["paths"])


class UserTests(RequestCase):
    def test_wrong_credentials(self) -> None:
        world = self.world()
        for headers in ({}, {"Authorization": basic("qa", "wrong")}, {"Authorization": "Bearer x"}):
            answer = world.ask("GET", SMS, headers=headers, user=None)
            self.assertEqual(answer.status, 401)
            self.assertEqual(answer.headers["connection"], "close")
        self.assertEqual(world.factory.take_refusals(), "3 with 401")

    def test_a_password_that_takes_its_time(self) -> None:
        world = self.world()
        world.checker.at_once = False
        client, gone = world.client(), world.client()
        client.request("GET", SMS)
        gone.request("GET", SMS)
        door = world.factory.door
        self.assertEqual((door.handshakes, door.waiting, dict(door.handshakes_of)), (0, 2, {}))
        gone.transport.loseConnection()
        world.turn()
        self.assertEqual((door.handshakes, door.waiting), (0, 1))
        world.checker.answer()
        world.settle()
        self.assertEqual(client.answer().status, 200)
        self.assertEqual((door.connections, door.sockets), (1, 1))

    def test_failures_are_slowed_down_as_with_any_client(self) -> None:
        world = self.world(limits=Limits(max_failures=2))
        wrong = {"Authorization": basic("qa", "wrong")}
        statuses = [world.ask("GET", SMS, headers=wrong, user=None).status for _ in range(2)]
        self.assertEqual(statuses, [401, 401])
        client, gone = world.client(), world.client()
        for one in (client, gone):
            one.request("GET", SMS, headers=wrong, user=None)
        gone.transport.loseConnection()
        world.clock.advance(0.2)
        self.assertIsNone(client.answer())
        world.clock.advance(0.1)
        self.assertEqual(client.answer().status, 429)
        self.assertEqual(world.factory.door.sockets, 0)
        self.assertEqual(world.factory.take_refusals(), "2 with 401, 1 with 429")
        self.assertEqual(world.factory.take_refusals(), "")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_pages_of_other_web_sites(self) -> None:
        world = self.world(allowed_origins=("https://shop.example",))
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            self.assertEqual(world.ask("GET", SMS, headers=headers).status, 403)
        for headers in (
            {},
            {"Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site"},
            {"Origin": "http://broker.example", "Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "none"},
        ):
            self.assertEqual(world.ask("GET", SMS, headers=headers).status, 200)

    def test_headers_that_are_there_twice(self) -> None:
        client = self.world().client()
        twice = b"Authorization: %s\r\n" % basic("qa", "right").encode() * 2
        client.write(b"GET /channels/sms HTTP/1.1\r\nHost: x\r\n" + twice + b"\r\n")
        self.assertEqual(self.statuses(client), [400])

    def test_headers_that_are_no_text(self) -> None:
        world = self.world(trusted_proxies=("192.0.2.1",))
        for name in (
            "Authorization",
            "Origin",
            "Host",
            "Idempotency-Key",
            "X-Forwarded-For",
            "Sec-Fetch-Site",
        ):
            client = world.client()
            head = b"POST /channels/sms HTTP/1.1\r\nContent-Length: 1\r\n%s: \xff\r\n" % name.encode()
            if name != "Authorization":
                head += b"Authorization: %s\r\n" % basic("qa", "right").encode()
            client.write(head + b"\r\n1")
            expected = [200] if name in ("Host", "X-Forwarded-For") else [400]
            self.assertEqual(self.statuses(client), expected, name)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_the_rate_of_a_user(self) -> None:
        world = self.world(limits=Limits(max_frames_per_second=2))
        client = world.client()
        statuses = [client.ask("POST", SMS, 1).status for _ in range(3)]
        self.assertEqual(statuses, [200, 200, 429])
        self.assertEqual(client.ask("POST", SMS, 1, user="other").status, 200)
        world.clock.advance(1)
        self.assertEqual(client.ask("POST", SMS, 1).status, 200)

    def test_the_rate_in_bytes(self) -> None:
        world = self.world(limits=Limits(max_bytes_per_second=1000))
        self.assertEqual(world.ask("POST", SMS, "x" * 5000).status, 200)
        self.assertEqual(world.ask("POST", SMS, 1).status, 429)

    def test_a_withdrawn_user_and_an_idle_connection(self) -> None:
        world = self.world()
        client, other = world.client(), world.client()
        client.ask("POST", SMS, 1)
        other.ask("POST", SMS, 1, user="other")
        world.http.withdraw({"qa"})
        self.assertEqual((client.is_open, other.is_open), (False, True))


class RoutingTests(RequestCase):
    def test_what_is_not_there(self) -> None:
        world = self.world()
        for path in (
            "/channels",
            "/channels/a/b",
            "/acks/",
            "//health/live",
            "/x",
            "*",
            "http://x/health/live",
        ):
            self.assertEqual(world.ask("GET", path).status, 404, path)

    def test_other_methods(self) -> None:
        world = self.world()
        for method, path, allowed in (
            ("PUT", SMS, "POST, GET, HEAD"),
            ("GET", "/acks", "POST"),
            ("OPTIONS", "/health/live", "GET, HEAD"),
            ("get", "/health/live", "GET, HEAD"),
        ):
            answer = world.ask(method, path)
            self.assertEqual((answer.status, answer.headers["allow"]), (405, allowed))

    def test_head(self) -> None:
        client = self.world().client()
        self.assertEqual(client.ask("HEAD", "/health/live").headers["content-length"], "16")
        self.assertEqual(client.ask("GET", "/health/live").body, b'{"status":"ok"}\n')

    def test_nothing_of_a_request_is_logged(self) -> None:
        world = self.world()
        events: list[object] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        world.ask("POST", SMS, {"secret": 1})
        world.ask("GET", SMS, headers={"Authorization": basic("qa", "secret")}, user=None)
        self.assertEqual(events, [])


class HealthTests(RequestCase):
    def test_it_is_well(self) -> None:
        world = self.world(default_channel=KEPT)
        self.assertEqual(world.ask("GET", "/health/live", user=None).status, 200)
        self.assertEqual(world.ask("GET", "/health/ready", user=None).json, {"status": "ok"})

    def test_the_store_does_not_answer_and_is_asked_once(self) -> None:
        world = self.world(default_channel=KEPT)
        world.store.answers = False
        clients = [world.client() for _ in range(2)]
        for client in clients:
            client.request("GET", "/health/ready", user=None)
        world.store.step()
        self.assertFalse(world.store.is_busy)
        self.assertEqual([client.answer().status for client in clients], [503, 503])
        self.assertEqual(world.ask("GET", "/health/live", user=None).status, 200)

    def test_there_is_no_room(self) -> None:
        world = self.world(default_channel=KEPT)
        world.store.figures.is_full = True
        answer = world.ask("GET", "/health/ready", user=None)
        self.assertEqual((answer.status, answer.json["status"]), (503, "the database has no room left"))

    def test_where_nothing_is_kept_the_store_is_not_asked(self) -> None:
        world = self.world()
        self.assertEqual(world.client().ask("GET", "/health/ready", user=None).status, 200)

    def test_who_asked_and_left(self) -> None:
        world = self.world(default_channel=KEPT)
        client = world.client()
        client.request("GET", "/health/ready", user=None)
        client.transport.loseConnection()
        world.settle()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_it_stops(self) -> None:
        world = self.world()
        world.factory.stopping = True
        self.assertEqual(world.ask("GET", "/health/ready", user=None).json, {"status": "stopping"})
        self.assertEqual(world.ask("GET", "/health/live", user=None).status, 200)
        self.assertEqual(world.ask("POST", SMS, 1).status, 503)


class AdminTests(RequestCase):
    def test_who_may_administer(self) -> None:
        world = self.world(access=rules("allow ops admin *", "allow qa * *", "allow some admin sms*"))
        self.assertIsNone(world.broker.access.check("ops", "admin", ""))
        for user, line in (("qa", ""), ("some", "")):
            self.assertFalse(world.broker.access.decide(user, "admin", line).allowed)
        self.assertTrue(world.broker.access.decide("some", "admin", "sms1").allowed)

    def test_who_may_only_administer_has_nothing_to_do_on_a_channel(self) -> None:
        connection = self.world(access=rules("allow qa admin *")).connect()
        connection.receive(request(path="/?topic=sms"))
        self.assertTrue(connection.taken().startswith(b"HTTP/1.1 403 "))
