"""Tests for wsmb.client.core: commands, events, receipts, back-off."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support_client import delivery
from wsmb import replies, wire
from wsmb.client import core
from wsmb.errors import Code

TIME = "2026-11-22T21:00:00.000Z"


class CommandTests(SynchronousTestCase):
    """What the client says is what the broker reads."""

    def test_send_message(self) -> None:
        command = wire.decode(core.send_message("sms", b'{"a": 1.0}'))
        self.assertIsInstance(command, wire.SendMessage)
        self.assertEqual((command.channel, bytes(command.data)), ("sms", b'[{"a": 1.0}]'))
        self.assertIsNone(command.number_of_receiver)

    def test_number_of_receiver(self) -> None:
        for number in (0, 3):
            self.assertEqual(wire.decode(core.send_message("c", b"1", number)).number_of_receiver, number)

    def test_receive_message(self) -> None:
        self.assertEqual(wire.decode(core.receive_message('a"b')), wire.ReceiveMessage('a"b'))

    def test_ping(self) -> None:
        self.assertEqual(wire.decode(core.PING), wire.Ping())

    @given(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=100), st.text(st.characters(codec="utf-8"))
    )
    def test_any_channel_and_text(self, channel: str, text: str) -> None:
        command = wire.decode(core.send_message(core.check_channel(channel), core.text_item(text.encode())))
        self.assertEqual((command.channel, json.loads(bytes(command.data))), (channel, [text]))


class ItemTests(SynchronousTestCase):
    def test_json_is_taken_as_it_is(self) -> None:
        for text in (b"1.50", b"1e400", b'{"a" : 1}', '"é"'.encode(), b"123456789012345678901234567890"):
            self.assertEqual(core.json_item(b" " + text + b"\r"), text)

    def test_what_is_no_json(self) -> None:
        # The last but one would end the array and put in a field of its own.
        for text in (b"", b"x", b"1 2", b"{", b'"\xff"', b"NaN", b'1],"channel":"b","data":[2', b"[" * 5000):
            with self.assertRaisesRegex(ValueError, "not JSON"):
                core.json_item(text)

    def test_text_that_is_not_utf_8(self) -> None:
        with self.assertRaises(UnicodeDecodeError):
            core.text_item(b"\xff")

    def test_channels_that_cannot_be(self) -> None:
        for name, why in (("", "empty"), ("x" * 101, "at most 100"), ("\udcff", "not UTF-8")):
            with self.assertRaisesRegex(ValueError, why):
                core.check_channel(name)


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

    def test_what_is_not_known_is_passed_over(self) -> None:
        for payload in (
            b"",
            b"\xff",
            b"[]",
            b'{"command":"error","response_code":"03"}',
            b'{"command":"connect"}',
        ):
            self.assertIsNone(core.decode(payload))


class LossTests(SynchronousTestCase):
    def test_refusals(self) -> None:
        for status, is_refusal in (
            (401, True),
            (403, True),
            (404, True),
            (429, False),
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
