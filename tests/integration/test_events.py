"""Events of a running broker: on `$events`, and to webhooks that are down, redirect or are somebody else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path

from tests.integration.broker_process import BrokerProcess, poll
from tests.integration.hook_server import HookServer, Request
from tests.integration.keeping_case import SqliteCase
from tests.support_tls import Authority
from wsmb.message_ids import key_of
from wsmb.traces import channel_of

KEY = b"not to be seen anywhere."
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def is_genuine(request: Request) -> bool:
    """As docs/events.md says how to check it."""
    message_id, timestamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    signed = f"{message_id}.{timestamp}.".encode() + request.body
    expected = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
    is_new = abs(time.time() - int(timestamp)) < 300
    return is_new and hmac.compare_digest(f"v1,{expected}", request.headers["webhook-signature"])


class EventsCase(SqliteCase):
    def hooks(self, certificate: tuple[Path, Path] | None = None) -> HookServer:
        server = HookServer(certificate)
        self.addCleanup(server.stop)
        return server

    def telling(self, hooks: HookServer | None = None, more: str = "", **environment: str) -> BrokerProcess:
        """A broker that tells of one item too many."""
        ini = "[events]\nwaiting_items = 1\n"
        if hooks is not None:
            ini += f"webhook[] = {hooks.url}\n"
            environment["WSMB_WEBHOOK_SECRET"] = SECRET
        self.database_environment = environment
        return self.keeping(ini + more)

    def overfill(self, broker: BrokerProcess, channel: str) -> None:
        sender = self.sender(broker)
        sender.publish(channel, 1, 2)
        sender.fence()
        sender.close()


class WebhookTests(EventsCase):
    def test_down_and_then_up(self) -> None:
        hooks = self.hooks()
        broker = self.telling(hooks)
        self.overfill(broker, "sms")
        poll(lambda: "it is tried again" in broker.log(), "the first attempt")
        hooks.start()
        (request,) = hooks.wait(1)
        self.assertEqual((request.path, request.events), ("/hidden-path", ["waiting sms"]))
        self.assertTrue(is_genuine(request))
        self.assertFalse(is_genuine(request._replace(body=request.body + b" ")))
        self.assertEqual(request.headers["content-type"], "application/json")
        broker.stop()
        for secret in (SECRET, "hidden-path", KEY.decode()):
            self.assertNotIn(secret, broker.log())

    def test_no_redirect_is_followed_and_what_waits_is_sent_before_the_end(self) -> None:
        hooks, elsewhere = self.hooks(), self.hooks()
        hooks.start()
        elsewhere.start()
        hooks.status, hooks.location, hooks.answer = 307, elsewhere.url, b"x" * 1_000_000
        broker = self.telling(hooks)
        self.overfill(broker, "sms")
        poll(lambda: "answered 307" in broker.log(), "the first attempt")
        hooks.status = 200
        broker.stop()
        first, *others = hooks.requests
        self.assertEqual({request.body for request in others}, {first.body})
        self.assertEqual({request.headers["webhook-id"] for request in others}, {first.headers["webhook-id"]})
        self.assertEqual(elsewhere.requests, [])

    def test_tls_is_verified(self) -> None:
        folder = self.folder()
        known, unknown = Authority(folder, "known"), Authority(folder, "unknown")
        right, of_another_name, of_nobody = (
            self.hooks(authority.write(name, hosts=(name,), file_name=f"{place}"))
            for place, (authority, name) in enumerate(
                ((known, "localhost"), (known, "other.example"), (unknown, "localhost"))
            )
        )
        for hooks in (right, of_another_name, of_nobody):
            hooks.start()
        more = f"webhook[] = {of_another_name.url}\nwebhook[] = {of_nobody.url}\n"
        broker = self.telling(right, more, SSL_CERT_FILE=str(known.file), SSL_CERT_DIR=str(folder / "none"))
        self.overfill(broker, "sms")
        self.assertTrue(is_genuine(right.wait(1)[0]))
        poll(lambda: broker.log().count("it is tried again") == 2, "the others to fail")
        self.assertEqual(of_another_name.requests + of_nobody.requests, [])
        self.assertIn("certificate verify failed", broker.log())
        self.assertIn("VerificationError", broker.log())


class ChannelTests(EventsCase):
    def test_killed_in_between(self) -> None:
        """What was kept comes, and what is still so is told again, by another id."""
        broker = self.telling(more="[channel $events]\nkeep_data = true\n")
        self.overfill(broker, "sms")
        poll(lambda: len(self.rows("$events")) == 1, "the event to be kept")
        broker.kill9()
        broker.start()
        self.overfill(broker, "other")
        poll(lambda: len(self.rows("$events")) == 3, "the others")
        events = [json.loads(row) for row in self.rows("$events")]
        self.assertEqual(self.newcomer(broker, "$events").read_items(3), events)
        told = [f"{event['event']} {event['channel']}" for event in events]
        self.assertEqual((told[0], sorted(told[1:])), ("waiting sms", ["waiting other", "waiting sms"]))
        self.assertEqual(len({event["id"] for event in events}), 3)

    def test_receivers_come_and_go(self) -> None:
        broker = self.broker("[events]\nreceiver_events = true\n")
        listener = self.receiver(broker, "$events")
        receiver = self.receiver(broker, "sms")
        (came,) = listener.read_items(1)
        receiver.close()
        (went,) = listener.read_items(1)
        self.assertEqual((came["event"], came["receivers"], came["number"]), ("receiver-came", 1, 1))
        self.assertEqual((went["event"], went["receivers"], went["number"]), ("receiver-went", 0, 1))


class TraceTests(SqliteCase):
    def test_a_message_is_followed(self) -> None:
        broker = self.keeping()
        watcher = self.receiver(broker, channel_of(key_of("qa", "sms", "order-17")))
        receiver = self.receiver(broker, "sms")
        self.sender(broker).publish("sms", 1, message_id="order-17")
        receiver.read_items(1)
        receiver.fence()
        steps = watcher.read_items(3)
        self.assertEqual([step["step"] for step in steps], ["taken", "handed", "proved"])
        host, port = receiver.socket.getsockname()
        self.assertEqual((steps[1]["user"], steps[1]["address"]), ("qa", f"tcp4:{host}:{port}"))


class LogTests(SqliteCase):
    def test_json(self) -> None:
        broker = self.broker("[log]\nformat = json\n")
        client = self.sender(broker)
        client.publish("sms", 1)
        client.send(b"\x81\x85aaaa!!!!!")  # not JSON
        client.fence()
        client.close()
        poll(lambda: " left (" in broker.log(), "its end")
        lines = [json.loads(line) for line in broker.log().splitlines()]
        (end,) = (line for line in lines if " left (" in line["text"])
        counters = {name: end[name] for name in ("user", "frames_in", "refused", "unproved")}
        self.assertEqual(counters, {"user": "qa", "frames_in": 5, "refused": 1, "unproved": 0})
        self.assertEqual((end["level"], end["namespace"]), ("info", "wsmb.factory"))
        self.assertGreaterEqual(end["seconds"], 0)
