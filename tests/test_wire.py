"""Tests for wsmb.wire."""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsmb import replies, wire
from wsmb.errors import Code, CommandError

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


class DecodeTests(SynchronousTestCase):
    def refused(self, payload: bytes) -> CommandError:
        return self.assertRaises(CommandError, wire.decode, payload)

    def test_send_message(self) -> None:
        command = wire.decode(b'{"command":"send-message","channel":"sms","data":[ 1.10, {"a":"\\/"} ]}')
        self.assertIsInstance(command, wire.SendMessage)
        self.assertEqual(command.channel, "sms")
        self.assertEqual(bytes(command.data), b'[ 1.10, {"a":"\\/"} ]')
        self.assertIsNone(command.number_of_receiver)

    def test_fields_in_any_order_and_unknown_ones(self) -> None:
        command = wire.decode(b'{"x":{"y":[1]},"data":"\xc3\xa9","channel":7,"command":"send-message"}')
        self.assertEqual((command.channel, bytes(command.data)), (7, b'"\xc3\xa9"'))

    def test_receive_message(self) -> None:
        command = wire.decode(b'{"command":"receive-message","channel":"sms","data":[]}')
        self.assertIsInstance(command, wire.ReceiveMessage)

    def test_ping_does_not_look_at_its_fields(self) -> None:
        for fields in (b"", b',"channel":[1],"data":{}', b',"channel":null'):
            self.assertIsInstance(wire.decode(b'{"command":"ping"' + fields + b"}"), wire.Ping)

    def test_malformed(self) -> None:
        for payload in (
            b"",
            b"null",
            b"[]",
            b'"ping"',
            b"{}",
            b'{"command":null}',
            b'{"command":"jump","channel":"a"}',
            b'{"command":"send-message","channel":"a"}',
            b'{"command":"send-message","data":[]}',
            b'{"command":"send-message","channel":null,"data":[]}',
            b'{"command":"send-message","channel":1.5,"data":[]}',
            b'{"command":"send-message","channel":true,"data":[]}',
            b'{"command":"send-message","channel":["a"],"data":[]}',
            b'{"command":"send-message","channel":"a","data":[],"number_of_receiver":1.5}',
            b'{"command":"send-message","channel":"a","data":[],"number_of_receiver":true}',
            b'{"command":"receive-message"}',
            b'{"command":"ping"} x',
            b'{"command":"ping"}{"command":"ping"}',
            b'\xef\xbb\xbf{"command":"ping"}',
        ):
            self.assertIs(self.refused(payload).code, Code.MALFORMED, payload)

    def test_broken_json_inside_data_and_unknown_fields(self) -> None:
        for value in (b"[1,]", b"tru", b"NaN", b"01", b'"\\q"', b'"\x01"', b"[" * 100_000, b'"\\ud800"'):
            for field in (b"data", b"other"):
                payload = b'{"command":"send-message","channel":"a","data":1,"%s":%s}' % (field, value)
                self.assertIs(self.refused(payload).code, Code.MALFORMED, payload[:80])

    def test_broken_utf8_anywhere(self) -> None:
        for field in (b"data", b"channel", b"other"):
            payload = b'{"command":"send-message","channel":"a","data":1,"%s":"\xff"}' % field
            self.assertEqual(self.refused(payload).detail, "not UTF-8")

    def test_refusals_do_not_repeat_what_was_sent(self) -> None:
        error = self.refused(b'{"command":"send-message","channel":{"secret":1},"data":"secret"}')
        self.assertNotIn("secret", str(error))

    @given(st.binary())
    def test_nothing_but_command_errors(self, payload: bytes) -> None:
        try:
            command = wire.decode(payload)
        except CommandError:
            return
        self.assertIsInstance(command, wire.Command)

    @given(JSON_VALUES, st.booleans())
    def test_what_python_writes_is_understood(self, value: object, ascii_only: bool) -> None:
        payload = json.dumps(
            {"command": "send-message", "channel": "é", "data": value}, ensure_ascii=ascii_only, indent=4
        ).encode()
        command = wire.decode(payload)
        expected = value if isinstance(value, list) else [value]
        self.assertEqual([json.loads(item) for item in wire.items(command.data)], expected)


class FieldTests(SynchronousTestCase):
    def test_channel_name(self) -> None:
        self.assertEqual(wire.channel_name("x" * 100), "x" * 100)
        self.assertEqual(wire.channel_name("é" * 100), "é" * 100)
        self.assertEqual(wire.channel_name(12), "12")
        self.assertEqual(wire.channel_name(-3), "-3")
        self.assertEqual(wire.channel_name(" a "), " a ")

    def test_bad_channel_name(self) -> None:
        self.assertIs(self.assertRaises(CommandError, wire.channel_name, "").code, Code.MALFORMED)
        for name in ("x" * 101, 10**100, 10**5000):
            self.assertIs(self.assertRaises(CommandError, wire.channel_name, name).code, Code.TOO_LARGE)

    def test_receiver_limit(self) -> None:
        for value, limit in ((2, 2), (-2, 2), (0, 0), ("2", 2), ("-2", 2), ("+2", 2), ("0", 0), ("007", 7)):
            self.assertEqual(wire.receiver_limit(value), limit)

    def test_a_limit_beyond_all_receivers_is_every_receiver(self) -> None:
        self.assertEqual(wire.receiver_limit("9" * 5000), 0)

    def test_bad_receiver_limit(self) -> None:
        for value in ("", "-", "--2", "2.0", " 2", "two", "٢", "²"):
            self.assertIs(self.assertRaises(CommandError, wire.receiver_limit, value).code, Code.MALFORMED)

    def test_items(self) -> None:
        for data, expected in (
            (b"[]", []),
            (b' [1, "a" ,[2]]', [b"1", b'"a"', b"[2]"]),
            (b'{"a": 1}', [b'{"a": 1}']),
            (b"null", [b"null"]),
        ):
            self.assertEqual(wire.items(msgspec.Raw(data)), expected)


class ReplyTests(SynchronousTestCase):
    def test_greeting_is_the_originals(self) -> None:
        self.assertEqual(
            replies.greeting(Code.ACCEPTED, "2026-11-22T21:00:00.000Z"),
            b'{"command":"connect","response_code":"00","response_text":"Accepted",'
            b'"data":[{"time_stamp":"2026-11-22T21:00:00.000Z"}]}',
        )

    @given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.lists(JSON_VALUES))
    def test_waiting(self, channel: str, values: list[object]) -> None:
        frame = replies.waiting(channel, [json.dumps(value).encode() for value in values])
        self.assertTrue(frame.startswith(b'{"command":"send-message","channel":"'))
        self.assertEqual(json.loads(frame), {"command": "send-message", "channel": channel, "data": values})


def depth(value: object) -> int:
    """How deep arrays and objects are nested."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


class DepthTests(SynchronousTestCase):
    def frame(self, data: bytes) -> bytes:
        return b'{"command":"send-message","channel":"c","data":%s}' % data

    def test_as_deep_as_allowed_and_one_deeper(self) -> None:
        for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
            most = wire.MAX_DEPTH - 1  # the frame itself is one
            self.assertIsInstance(
                wire.decode(self.frame(opening * most + b"1" + closing * most)), wire.SendMessage
            )
            deeper = self.frame(opening * (most + 1) + b"1" + closing * (most + 1))
            self.assertEqual(self.assertRaises(CommandError, wire.decode, deeper).code, Code.MALFORMED)

    def test_brackets_side_by_side_and_in_strings_are_not_deep(self) -> None:
        for data in (b"[" + b"[1]," * 5_000 + b"1]", json.dumps("[{" * 5_000 + '\\"[').encode()):
            self.assertIsInstance(wire.decode(self.frame(data)), wire.SendMessage)

    def test_a_string_that_does_not_end_takes_no_longer(self) -> None:
        """Where it took every way to divide the string, this did not end."""
        for text in (b"x" * 1_000_000, b'\\"' * 500_000, b"\\" * 1_000_001):
            self.assertRaises(CommandError, wire.decode, b"[" * 201 + b'"' + text)

    @given(JSON_VALUES, st.integers(2, 20), st.sampled_from([0, 3_000]))
    def test_as_deep_as_it_is(self, value: object, most: int, padding: int) -> None:
        payload = json.dumps([value, "x" * padding]).encode()
        self.assertEqual(wire.is_deeper(payload, most), 1 + depth(value) > most)

    def test_long_frames_are_looked_at_as_short_ones_are(self) -> None:
        for opening, closing, levels in ((b"[", b"]", 1), (b'{"a":', b"}", 1), (b'[{"a":', b"}]", 2)):
            for times in (1, 2, 4, 40):
                payload = opening * times + b'"%s"' % (b"x" * 3_000) + closing * times
                self.assertIs(wire.is_deeper(payload, levels * times), False)
                self.assertIs(wire.is_deeper(payload, levels * times - 1), True)

    @given(st.text('[]{}"\\a,:1', max_size=600))
    def test_whatever_comes(self, text: str) -> None:
        try:
            command = wire.decode(self.frame(text.encode()))
        except CommandError:
            return
        self.assertTrue(wire.items(command.data) or command.data)
