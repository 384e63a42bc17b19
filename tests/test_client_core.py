"""Tests for wsmb.client.core: events, receipts, back-off."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.support_client import delivery
from wsmb import replies
from wsmb.client import core
from wsmb.errors import Code, CommandError

TIME = "2026-11-22T21:00:00.000Z"


class EventTests(SynchronousTestCase):
    def test_greeting(self) -> None:
        answer = core.decode(replies.greeting(Code.ACCEPTED, TIME))
        self.assertEqual((answer.is_accepted, answer.time_stamp), (True, TIME))
        self.assertFalse(core.decode(replies.greeting(Code.REJECTED, TIME)).is_accepted)

    def test_greeting_without_a_time(self) -> None:
        self.assertEqual(core.decode(b'{"command":"connect","response_code":"00"}').time_stamp, "")

    def test_items_are_compacted_and_else_untouched(self) -> None:
        event = delivery("sms", b'[ {"a" : 1.50,\n "b": [ 1e400 ]}, "\xc3\xa9 \\u00e9" ]')
        self.assertEqual(event.lines(), [b'{"a":1.50,"b":[1e400]}', b'"\xc3\xa9 \\u00e9"'])

    def test_data_that_is_no_array_is_one_item(self) -> None:
        self.assertEqual(delivery("sms", b'{"a": 1}').lines(), [b'{"a":1}'])

    def test_waiting_items(self) -> None:
        self.assertEqual(core.decode(replies.waiting("sms", [b"1", b"2"])).lines(), [b"1", b"2"])

    def test_with_channel(self) -> None:
        for channel in ('a"b', 7):
            line = core.with_channel(channel, b'{"a":1}')
            self.assertEqual(json.loads(line), {"channel": str(channel), "data": {"a": 1}})

    def test_confirms(self) -> None:
        confirm = core.decode(replies.sent(7, TIME, 1, 2, is_duplicate=True))
        self.assertEqual((confirm.confirm, confirm.is_accepted), (7, True))
        self.assertEqual(confirm.data[0]["duplicate"], True)
        refused = core.decode(replies.refused("a", TIME, CommandError(Code.TOO_LARGE, "an item")))
        self.assertEqual((refused.confirm, refused.is_accepted), ("a", False))
        self.assertEqual(refused.response_text, "Too large: an item")

    def test_refusals(self) -> None:
        refusal = core.decode(replies.error(TIME, CommandError(Code.UNKNOWN_DELIVERY, "3"), None))
        self.assertEqual((refusal.response_code, refusal.response_text), ("07", "Unknown delivery: 3"))

    def test_numbered(self) -> None:
        for is_redelivered in (False, True):
            event = core.decode(replies.numbered(replies.waiting("sms", [b"1"]), 17, is_redelivered))
            self.assertEqual((event.number, event.is_redelivered), (17, is_redelivered))
        event = delivery("sms", b"[1]")
        self.assertEqual((event.number, event.is_redelivered), (None, False))

    def test_a_sender_s_own_field_is_no_number(self) -> None:
        for own in (b'"x"', b"[]", b"1.5", b"-1", b"1" * 5_000):
            payload = b'{"command":"send-message","channel":"c","data":[1],"delivery":%s}' % own
            self.assertIsNone(core.decode(payload).number)
            self.assertEqual(core.decode(replies.numbered(payload, 17, False)).number, 17)

    def test_what_is_not_known_is_passed_over(self) -> None:
        for payload in (
            b"",
            b"\xff",
            b"[]",
            b'{"command":"connect"}',
            b'{"command":"news"}',
        ):
            self.assertIsNone(core.decode(payload))


class LossTests(SynchronousTestCase):
    def test_refusals(self) -> None:
        for status, is_refusal in (
            (200, False),
            (302, False),
            (400, True),
            (401, True),
            (403, True),
            (404, True),
            (405, True),
            (408, False),
            (425, False),
            (426, True),
            (429, False),
            (500, False),
            (503, False),
            (None, False),
        ):
            self.assertEqual(core.Loss("x", status).is_refusal, is_refusal)


class ReceiptTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.receipts = core.Receipts()

    def send(self, count: int) -> None:
        for _ in range(count):
            self.receipts.frame_sent()

    def test_the_greeting_makes_nothing_certain(self) -> None:
        self.send(1)
        self.assertFalse(self.receipts.is_settled)
        self.receipts.answered()
        self.assertEqual((self.receipts.is_settled, self.receipts.certain), (True, 0))

    def test_each_further_answer_is_a_ping_s(self) -> None:
        self.send(2)
        self.receipts.ping_sent()
        self.send(3)
        self.receipts.ping_sent()
        self.receipts.answered()
        certain = []
        while not self.receipts.is_settled:
            self.receipts.answered()
            certain.append(self.receipts.certain)
        self.assertEqual((certain, self.receipts.sent), ([2, 5], 5))

    def test_answers_that_nobody_asked_for(self) -> None:
        for _ in range(3):
            self.receipts.answered()
        self.assertEqual((self.receipts.is_settled, self.receipts.certain), (True, 0))


class ConfirmedReceiptTests(SynchronousTestCase):
    def test_confirms_make_certain_and_pings_nothing(self) -> None:
        receipts = core.Receipts()
        for _ in range(3):
            receipts.frame_sent()
        receipts.ping_sent()
        receipts.answered()
        receipts.confirmed(is_accepted=True)
        receipts.confirmed(is_accepted=False)
        receipts.answered()
        self.assertEqual((receipts.certain, receipts.refused, receipts.is_settled), (1, 1, True))
        self.assertFalse(receipts.is_complete)
        receipts.confirmed(is_accepted=True)
        self.assertTrue(receipts.is_complete)


class BackoffTests(SynchronousTestCase):
    def test_grows_to_ten_seconds(self) -> None:
        backoff = core.Backoff(lambda: 1.0)
        delays = [backoff.next_delay_s() for _ in range(8)]
        self.assertEqual(delays, [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0])

    def test_jitter_takes_up_to_a_half(self) -> None:
        backoff = core.Backoff(lambda: 0.0)
        self.assertEqual([backoff.next_delay_s(), backoff.next_delay_s()], [0.1, 0.2])

    def test_reset(self) -> None:
        backoff = core.Backoff(lambda: 1.0)
        backoff.next_delay_s()
        backoff.next_delay_s()
        backoff.reset()
        self.assertEqual(backoff.next_delay_s(), 0.2)

    def test_the_broker_can_ask_for_more(self) -> None:
        backoff = core.Backoff(lambda: 1.0)
        self.assertEqual(backoff.next_delay_s(7), 7.2)
        self.assertEqual(backoff.next_delay_s(1e9), core.LONGEST_WAIT_S + 0.4)
