"""Tests for wsmb.client.commands: what the client says is what the broker reads."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsmb import wire
from wsmb.client import commands


class CommandTests(SynchronousTestCase):
    """What the client says is what the broker reads."""

    def test_send_message(self) -> None:
        command = wire.decode(commands.send_message("sms", b'{"a": 1.0}'))
        self.assertIsInstance(command, wire.SendMessage)
        self.assertEqual((command.channel, bytes(command.data)), ("sms", b'[{"a": 1.0}]'))
        self.assertIsNone(command.number_of_receiver)

    def test_number_of_receiver(self) -> None:
        for number in (0, 3):
            self.assertEqual(wire.decode(commands.send_message("c", b"1", number)).number_of_receiver, number)

    def test_receive_message(self) -> None:
        self.assertEqual(wire.decode(commands.receive_message('a"b')), wire.ReceiveMessage('a"b'))

    def test_what_a_sender_asks_for(self) -> None:
        command = wire.decode(commands.send_message("c", b"1", confirm=7, message_id='a"b', ttl_s=2.5))
        self.assertEqual((command.confirm, command.message_id, command.ttl), (7, 'a"b', 2.5))

    def test_acknowledging(self) -> None:
        asked = wire.decode(commands.receive_message("c", prefetch=3, confirm="x"))
        self.assertEqual(asked, wire.ReceiveMessage("c", ack=True, prefetch=3, confirm="x"))
        self.assertEqual(wire.decode(commands.ack_message([1, 2])), wire.AckMessage([1, 2]))
        self.assertEqual(wire.decode(commands.ack_message([1], 5)), wire.AckMessage([1], 5))
        self.assertEqual(wire.decode(commands.reject_message([1], 5)), wire.RejectMessage([1], confirm=5))
        self.assertEqual(wire.decode(commands.leave_channel("c", "x")), wire.LeaveChannel("c", "x"))

    def test_ping(self) -> None:
        self.assertEqual(wire.decode(commands.PING), wire.Ping())
        self.assertEqual(wire.decode(commands.ping("x")), wire.Ping("x"))

    @given(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=100), st.text(st.characters(codec="utf-8"))
    )
    def test_any_channel_and_text(self, channel: str, text: str) -> None:
        command = wire.decode(
            commands.send_message(commands.check_channel(channel), commands.text_item(text.encode()))
        )
        self.assertEqual((command.channel, json.loads(bytes(command.data))), (channel, [text]))


class ItemTests(SynchronousTestCase):
    def test_json_is_taken_as_it_is(self) -> None:
        for text in (b"1.50", b"1e400", b'{"a" : 1}', '"é"'.encode(), b"123456789012345678901234567890"):
            self.assertEqual(commands.json_item(b" " + text + b"\r"), text)

    def test_what_is_no_json(self) -> None:
        # The last but one would end the array and put in a field of its own.
        for text in (b"", b"x", b"1 2", b"{", b'"\xff"', b"NaN", b'1],"channel":"b","data":[2', b"[" * 5000):
            with self.assertRaisesRegex(ValueError, "not JSON"):
                commands.json_item(text)

    def test_text_that_is_not_utf_8(self) -> None:
        with self.assertRaises(UnicodeDecodeError):
            commands.text_item(b"\xff")

    def test_channels_that_cannot_be(self) -> None:
        for name, why in (("", "empty"), ("x" * 101, "at most 100"), ("\udcff", "not UTF-8")):
            with self.assertRaisesRegex(ValueError, why):
                commands.check_channel(name)

    def test_message_ids_that_cannot_be(self) -> None:
        for text, why in (("", "empty"), ("x" * 65, "at most 64"), ("\udcff", "not UTF-8")):
            with self.assertRaisesRegex(ValueError, why):
                commands.check_message_id(text)
