"""Tests for wsmb.http.metrics and wsmb.figures: what Prometheus is told."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import ProcessCollector
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support_http import KEPT, HttpWorld, rules
from tests.support_protocol import client_frame
from wsmb.figures import TIMES_S, Histogram
from wsmb.http.metrics import Lag, Process
from wsmb.settings import WebhookSettings

ROOT = Path(__file__).parents[1]


class MetricsTests(SynchronousTestCase):
    def world(self, **settings: object) -> HttpWorld:
        world = HttpWorld(**{"default_channel": KEPT, **settings})
        self.addCleanup(world.close)
        return world

    def read(self, world: HttpWorld) -> dict[str, float]:
        """Samples by name, with their labels' values."""
        answer = world.ask("GET", "/metrics", user="ops")
        self.assertEqual(answer.status, 200)
        return {
            " ".join((sample.name, *sample.labels.values())): sample.value
            for family in text_string_to_metric_families(answer.body.decode())
            for sample in family.samples
        }

    def test_a_message_on_its_way(self) -> None:
        world = self.world()
        before = self.read(world)
        receiver = world.receiver("sms", ack=True)
        sender = world.greeted()
        sender.receive(client_frame(b'{"command":"send-message","channel":"sms","data":[1,2]}'))
        found = self.read(world)
        self.assertEqual(found["wsmb_connections"], 2)
        self.assertEqual(found["wsmb_connections_opened_total"], 2)
        self.assertEqual(found["wsmb_channels"], 1)
        self.assertEqual(found["wsmb_frames_received_total"] - before["wsmb_frames_received_total"], 2)
        self.assertEqual(found["wsmb_outstanding_frames"], 1)
        self.assertEqual(found["wsmb_deliveries_total proved"], 0)
        frames_sent = found["wsmb_frames_sent_total"]
        receiver.receive(client_frame(json.dumps({"command": "ack-message", "delivery": 1}).encode()))
        receiver.lose()
        sender.lose()
        found = self.read(world)
        self.assertEqual((found["wsmb_connections"], found["wsmb_connections_opened_total"]), (0, 2))
        self.assertEqual(found["wsmb_frames_received_total"], 3)
        self.assertEqual(found["wsmb_frames_sent_total"], frames_sent)
        self.assertEqual((found["wsmb_outstanding_frames"], found["wsmb_deliveries_total proved"]), (0, 1))

    def test_redelivered_and_dead(self) -> None:
        world = self.world()
        first = world.receiver("sms", ack=True)
        world.ask("POST", "/channels/sms", 1)
        first.lose()
        world.settle()
        second = world.receiver("sms", ack=True)
        reject = {"command": "reject-message", "delivery": 1, "requeue": False}
        second.receive(client_frame(json.dumps(reject).encode()))
        world.settle()
        found = self.read(world)
        self.assertEqual(found["wsmb_items_redelivered_total"], 1)
        self.assertEqual(found["wsmb_items_dead_total"], 1)
        self.assertEqual(found["wsmb_deliveries_total failed"], 2)
        self.assertEqual(world.broker.take_counts(), {"redelivered": 1, "dead": 1})
        self.assertEqual(world.broker.take_counts(), {})
        self.assertEqual(self.read(world)["wsmb_items_dead_total"], 1)

    def test_what_waits_and_where_most_of_it_does(self) -> None:
        world = self.world()
        for number in range(103):
            name = 'with "quotes"\\\n' if number == 102 else f"c{number}"
            world.store.append(name, [b"1"] * (number + 1), lambda _: None)
        world.settle()
        found = self.read(world)
        self.assertEqual(found["wsmb_waiting_items"], sum(range(104)))
        self.assertEqual(found["wsmb_waiting_bytes"], world.store.stock.bytes)
        self.assertEqual(found['wsmb_channel_waiting_items with "quotes"\\\n'], 103)
        self.assertEqual(sum(name.startswith("wsmb_channel_waiting_items ") for name in found), 100)
        self.assertNotIn("wsmb_channel_waiting_items c2", found)

    def test_failures_by_kind(self) -> None:
        world = self.world()
        world.ask("POST", "/channels/sms", b"{")
        world.ask("POST", "/channels/" + "x" * 101, 1)
        world.ask("GET", "/channels/sms", user=None)
        found = self.read(world)
        self.assertEqual(found["wsmb_commands_refused_total 04"], 1)
        self.assertEqual(found["wsmb_requests_refused_total 401"], 1)
        self.assertEqual(world.factory.take_refusals(), "1 with 401")
        self.assertEqual(self.read(world)["wsmb_requests_refused_total 401"], 1)
        for status, count in (("400", 1), ("401", 1), ("413", 1)):
            self.assertEqual(found[f"wsmb_http_answers_total {status}"], count)

    def test_the_names_are_those_of_the_document_and_the_dashboard(self) -> None:
        text = self.world().ask("GET", "/metrics", user="ops").body.decode()
        told = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
        table = (ROOT / "docs" / "http.md").read_text().partition("## Metrics")[2]
        self.assertEqual(set(re.findall(r"`(wsmb_\w+)", table)), {one for one in told if one[:5] == "wsmb_"})
        dashboard = (ROOT / "examples/grafana/wsmb.json").read_text()
        asked = re.findall(r"\b((?:wsmb|process)_\w+?)(?:_bucket)?\b", dashboard)
        self.assertEqual(set(asked) - told, set())

    def test_items_over_http(self) -> None:
        world = self.world()
        world.ask("POST", "/channels/sms", [1, [2, 3], {"a": [4, 5]}])
        world.ask("POST", "/channels/sms", "one, two")
        world.ask("GET", "/channels/sms?max=1")
        world.settle()
        found = self.read(world)
        self.assertEqual(found["wsmb_http_items_received_total"], 4)
        self.assertEqual(found["wsmb_http_items_sent_total"], 4)

    def test_events_and_webhooks(self) -> None:
        kept = replace(KEPT, waiting_items=1)
        quiet = ("$events", replace(KEPT, max_waiting_items_per_channel=1))
        hooks = WebhookSettings(("https://one.example/a", "https://two.example/b"), b"k" * 24)
        world = self.world(default_channel=kept, channels=(quiet,), webhooks=hooks)
        self.assertEqual(self.read(world)["wsmb_webhook_events_delivered_total https://two.example"], 0)
        for now_s, channel in enumerate(("a", "b", "c")):
            world.ask("POST", f"/channels/{channel}", [1, 2])
            world.events.look(now_s)
        found = self.read(world)
        self.assertEqual(found["wsmb_webhook_waiting_events https://one.example"], 3)
        world.hooks[0].callback(204)
        world.hooks[1].callback(500)
        world.settle()
        found = self.read(world)
        self.assertEqual((found["wsmb_events_total waiting"], found["wsmb_events_total no-receiver"]), (3, 0))
        self.assertEqual(found["wsmb_events_lost_total"], 2)
        for name, one, two in (
            ("events_delivered_total", 1, 0),
            ("failed_attempts_total", 0, 1),
            ("events_given_up_total", 0, 0),
            ("events_dropped_total", 0, 0),
            ("waiting_events", 2, 3),
        ):
            for place, count in (("one", one), ("two", two)):
                self.assertEqual(found[f"wsmb_webhook_{name} https://{place}.example"], count, name)
        world.webhooks.stop(0)
        world.turn()
        found = self.read(world)
        self.assertEqual(found["wsmb_webhook_events_given_up_total https://two.example"], 1)
        self.assertEqual(found["wsmb_webhook_events_dropped_total https://two.example"], 2)

    def test_what_is_in_memory(self) -> None:
        world = self.world()
        client = world.client()
        client.request("POST", "/channels/sms", "x" * 1000)
        found = self.read(world)
        self.assertGreater(found["wsmb_buffer_bytes intake"], 1000)
        self.assertEqual(found["wsmb_buffer_bytes held"], 0)
        self.assertEqual(self.read(world)["wsmb_buffer_bytes intake"], 0)

    def test_the_process_and_the_version(self) -> None:
        found = self.read(self.world())
        self.assertGreater(found["process_resident_memory_bytes"], 1e6)
        self.assertTrue(any(name.startswith("wsmb_info ") for name in found))

    def test_a_process_that_sees_nothing_of_the_system(self) -> None:
        """ProcSubset=pid of the systemd unit leaves only the processes in /proc."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "self").symlink_to("/proc/self")
        found = {
            family.name: family.samples[0].value
            for family in Process(proc=str(folder), registry=None).collect()
        }
        self.assertGreater(found["process_resident_memory_bytes"], 1e6)
        self.assertGreater(found["process_open_fds"], 2)
        (start,) = [one for one in ProcessCollector(registry=None).collect() if "start" in one.name]
        self.assertAlmostEqual(found[start.name], start.samples[0].value, places=-1)

    def test_only_for_who_may_administer(self) -> None:
        world = self.world(access=rules("allow ops admin *", "allow qa * *"))
        self.read(world)
        refused = world.ask("GET", "/metrics")
        self.assertEqual((refused.status, refused.json["error"]), (403, "Forbidden: qa may not admin"))
        self.assertEqual(world.ask("GET", "/metrics", user=None).status, 401)


class LagTests(SynchronousTestCase):
    def test_how_late_it_is(self) -> None:
        clock = Clock()
        lag = Lag(clock)
        clock.advance(0.1)
        clock.advance(0.6)
        clock.advance(0.1)
        self.assertEqual(lag.histogram.counts[0], 2)
        self.assertEqual(lag.histogram.counts[TIMES_S.index(0.5)], 1)
        self.assertAlmostEqual(lag.histogram.sum, 0.5)
        lag.stop()
        self.assertEqual(clock.calls, [])


class HistogramTests(SynchronousTestCase):
    @given(st.lists(st.floats(0, 100)))
    def test_each_value_is_counted_at_the_first_bound_that_it_fits(self, values: list[float]) -> None:
        histogram = Histogram((1.0, 10.0))
        for value in values:
            histogram.add(value)
        within = [sum(value <= bound for value in values) for bound in (1.0, 10.0)]
        self.assertEqual(histogram.counts[0], within[0])
        self.assertEqual(sum(histogram.counts[:2]), within[1])
        self.assertEqual(sum(histogram.counts), len(values))
