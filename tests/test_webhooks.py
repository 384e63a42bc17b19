"""Tests for wsmb.webhooks: signed, in order, tried again, bounded."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseNeverReceived

from wsmb.settings import WebhookSettings
from wsmb.webhooks import (
    LONGEST_BREAK_S,
    MOST_ATTEMPTS,
    MOST_EVENTS,
    MOST_WAITING,
    TIMEOUT_S,
    Webhooks,
    signature,
)

KEY = b"k" * 24
URL, OTHER = "https://hooks.example/secret-path", "https://other.example/"


class FakePoster:
    """Remembers what is posted, and answers as the test says."""

    def __init__(self) -> None:
        self.posts: list[tuple[bytes, dict[bytes, bytes], list[Any]]] = []
        self.open: list[Deferred[int]] = []

    def post(self, url: bytes, headers: dict[bytes, bytes], body: bytes) -> Deferred[int]:
        self.posts.append((url, headers, json.loads(body)))
        self.open.append(Deferred())
        return self.open[-1]

    def answer(self, status: int = 200) -> None:
        self.open.pop(0).callback(status)

    def fail(self, error: Exception) -> None:
        self.open.pop(0).errback(error)


class WebhookTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.poster = FakePoster()
        self.hooks = Webhooks(WebhookSettings((URL,), KEY), self.clock, self.poster.post)
        self.lines: list[str] = []
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)

    def observe(self, event: Any) -> None:
        if event["log_namespace"].startswith("wsmb"):
            self.lines.append(event["log_format"].format(**event))

    def tell(self, *numbers: int) -> None:
        self.hooks.tell([b"%d" % number for number in numbers])

    def bodies(self) -> list[list[int]]:
        posts, self.poster.posts = self.poster.posts, []
        return [body for _, _, body in posts]

    def test_in_order_one_at_a_time_and_what_came_meanwhile_together(self) -> None:
        self.tell(1, 2)
        self.tell(3)
        self.tell(4)
        self.assertEqual(self.bodies(), [[1, 2]])
        self.poster.answer()
        self.assertEqual(self.bodies(), [[3, 4]])
        self.poster.answer(204)
        self.assertEqual((self.bodies(), self.clock.getDelayedCalls(), self.lines), ([], [], []))

    def test_so_many_in_a_request(self) -> None:
        self.tell(*range(MOST_EVENTS + 1))
        self.poster.answer()
        self.assertEqual([len(body) for body in self.bodies()], [MOST_EVENTS, 1])

    def test_the_signature_is_that_of_standard_webhooks(self) -> None:
        """The example is from their specification's libraries' tests."""
        key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        given = signature(key, b"msg_p5jXN8AQM9LWM0D4loKWxJek", b"1614265330", b'{"test": 2432232314}')
        self.assertEqual(given, b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")

    def test_each_attempt_is_signed_anew_under_the_same_id(self) -> None:
        self.tell(1)
        self.poster.answer(500)
        self.clock.advance(1)
        (_, first, body), (_, second, again) = self.poster.posts
        self.assertEqual((first[b"webhook-id"], body), (second[b"webhook-id"], again))
        for headers in (first, second):
            signed = b"%s.%s.[1]" % (headers[b"webhook-id"], headers[b"webhook-timestamp"])
            expected = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256))
            self.assertEqual(headers[b"webhook-signature"], b"v1," + expected)

    def test_ids_differ(self) -> None:
        for _ in range(2):
            self.tell(1)
            self.poster.answer()
        self.assertEqual(len({headers[b"webhook-id"] for _, headers, _ in self.poster.posts}), 2)

    def test_tried_again_later_and_later_and_others_wait(self) -> None:
        self.tell(1)
        for break_s in (1, 2, 4, 8):
            self.poster.answer(503)
            self.tell(2)
            self.clock.advance(break_s - 0.1)
            self.assertEqual(self.poster.open, [])
            self.clock.advance(0.1)
        self.poster.answer()
        self.assertEqual(self.bodies(), [[1]] * 5 + [[2] * 4])
        self.assertEqual(len(self.lines), 2, self.lines)

    def test_any_answer_but_2xx_is_none(self) -> None:
        for status in (199, 301, 302, 307, 400, 404, 410, 500):
            self.tell(status)
            self.poster.answer(status)
            self.clock.advance(1)
            self.poster.answer()
            self.assertEqual(self.bodies(), [[status]] * 2)

    def test_given_up_after_so_many_and_the_next_has_its_turn(self) -> None:
        self.tell(1)
        self.tell(2)
        for _ in range(MOST_ATTEMPTS):
            self.clock.advance(LONGEST_BREAK_S)
            self.poster.fail(ConnectionRefusedError("refused"))
        self.assertEqual(self.bodies(), [[1]] * MOST_ATTEMPTS + [[2]])
        self.assertIn("1 events given up", self.lines[-1])
        self.assertIn("ConnectionRefusedError", self.lines[-1])

    def test_no_answer_in_time(self) -> None:
        self.tell(1)
        self.clock.advance(TIMEOUT_S)
        self.clock.advance(1)
        self.assertEqual(self.bodies(), [[1]] * 2)
        self.assertIn("no answer in time", self.lines[0])

    def test_no_answer_in_time_as_twisted_web_says_it(self) -> None:
        self.tell(1)
        self.poster.fail(ResponseNeverReceived([Failure(CancelledError())]))
        self.assertEqual(self.lines, ["webhook https://hooks.example: no answer in time; it is tried again"])

    def test_the_oldest_are_dropped_and_counted(self) -> None:
        self.tell(0)
        self.tell(*range(1, MOST_WAITING + 4))
        self.hooks.report()
        self.assertEqual(self.lines, ["webhook https://hooks.example: 3 events dropped before their turn"])
        self.poster.answer()
        self.assertEqual(self.bodies()[1][0], 4)
        self.lines.clear()
        self.hooks.report()
        self.assertEqual(self.lines, [])

    def test_each_url_goes_on_by_itself(self) -> None:
        self.hooks.use_settings(WebhookSettings((URL, OTHER), KEY))
        self.tell(1)
        self.poster.answer(500)
        self.tell(2)
        self.poster.answer()
        told = [(url.decode(), body) for url, _, body in self.poster.posts]
        self.assertEqual(told, [(URL, [1]), (OTHER, [1]), (OTHER, [2])])

    def test_other_urls_and_keys_while_it_runs(self) -> None:
        self.tell(1)
        self.tell(2)
        self.hooks.use_settings(WebhookSettings((OTHER,), KEY))
        self.clock.advance(0)
        self.tell(3)
        self.assertEqual([url for url, _, _ in self.poster.posts], [URL.encode(), OTHER.encode()])
        self.hooks.use_settings(WebhookSettings())
        self.clock.advance(0)
        self.assertEqual((self.bodies()[2:], self.clock.getDelayedCalls()), ([], []))

    def test_another_key_loses_nothing(self) -> None:
        self.tell(1)
        self.poster.answer(500)
        self.tell(2)
        self.hooks.use_settings(WebhookSettings((URL,), b"l" * 24))
        self.clock.advance(1)
        self.poster.answer()
        self.assertEqual(self.bodies(), [[1], [1], [2]])
        self.tell(3)
        self.poster.answer()
        (_, headers, _) = self.poster.posts[-1]
        signed = b"%s.%s.[3]" % (headers[b"webhook-id"], headers[b"webhook-timestamp"])
        expected = base64.b64encode(hmac.digest(b"l" * 24, signed, hashlib.sha256))
        self.assertEqual(headers[b"webhook-signature"], b"v1," + expected)

    def test_what_is_dropped_with_its_url_is_told(self) -> None:
        self.tell(1)
        self.tell(2)
        self.hooks.use_settings(WebhookSettings())
        self.clock.advance(0)
        self.hooks.report()
        self.assertIn("1 events given up", self.lines[0])
        self.assertIn("1 events dropped", self.lines[1])

    def test_no_path_and_no_key_in_the_log(self) -> None:
        self.tell(1)
        for error in (ValueError("no"), ConnectionError("no")):
            self.poster.fail(error)
            self.clock.advance(10)
        self.poster.answer(302)
        text = " ".join(self.lines) + repr(WebhookSettings((URL,), KEY))
        self.assertNotIn("secret-path", text)
        self.assertNotIn("kkkk", text)

    def test_what_speaks_http_is_loaded_with_the_first_url(self) -> None:
        """A megabyte, for those who have none."""
        program = (
            "import sys, wsmb.service\n"
            "from wsmb.settings import WebhookSettings\n"
            "from wsmb.webhooks import Webhooks\n"
            "hooks = Webhooks(WebhookSettings(), None)\n"
            "print('twisted.web.client' in sys.modules)\n"
            "hooks.use_settings(WebhookSettings(('https://hooks.example/',), b'key'))\n"
            "print('twisted.web.client' in sys.modules)\n"
        )
        checkout = Path(__file__).parents[1]
        output = subprocess.run(
            [sys.executable, "-c", program], cwd=checkout, stdout=subprocess.PIPE, check=True
        ).stdout
        self.assertEqual(output.split(), [b"False", b"True"])

    # The stop

    def stopped(self) -> list[object]:
        done: list[object] = []
        self.hooks.stop(2.0).addCallback(done.append)
        return done

    def test_stops_at_once_where_nothing_waits(self) -> None:
        self.assertEqual(len(self.stopped()), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_is_under_way_and_waits_goes_first(self) -> None:
        self.tell(1)
        self.tell(2)
        done = self.stopped()
        self.poster.answer()
        self.assertEqual(done, [])
        self.poster.answer()
        self.assertEqual((self.bodies(), len(done), self.clock.getDelayedCalls()), ([[1], [2]], 1, []))

    def test_what_is_to_be_tried_again_is_tried_once_more(self) -> None:
        self.tell(1)
        self.poster.answer(500)
        done = self.stopped()
        self.poster.answer(500)
        self.assertEqual((self.bodies(), len(done), self.clock.getDelayedCalls()), ([[1], [1]], 1, []))
        self.assertIn("given up", self.lines[-1])

    def test_who_does_not_answer_does_not_hold_it_up(self) -> None:
        self.tell(1)
        self.tell(2)
        done = self.stopped()
        self.clock.advance(2)
        self.assertEqual((self.bodies(), len(done), self.clock.getDelayedCalls()), ([[1]], 1, []))
        self.hooks.report()
        self.assertIn("1 events dropped", self.lines[-1])
