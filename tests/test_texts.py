"""Tests for wsmb.texts: what is a JSON value, and what is a mere text."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support import RecordingPeer
from wsmb.texts import json_value, text_message, text_of

DEPTH = 98
TEXTS = st.text(st.characters(exclude_categories=("Cs",)))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


class JsonValueTests(SynchronousTestCase):
    def test_json_stays_as_it_is_written(self) -> None:
        for text in (
            b'{"a" : 1,\n"b":[ ]}',
            b"[1,2]",
            b'"\\u00e9"',
            '"é"'.encode(),
            b"1E5",
            b"-0",
            b"0.10",
            b"12345678901234567890123",
            b"null",
            b'{"a":1,"a":2}',
            nested(DEPTH),
        ):
            self.assertEqual(json_value(text, DEPTH), text)

    def test_but_for_the_space_around_it(self) -> None:
        self.assertEqual(json_value(b' \t\r\n{"a": 1}\n', DEPTH), b'{"a": 1}')

    def test_all_else_is_a_string(self) -> None:
        for text in (
            "on",
            "",
            " ",
            "\ufeff5",
            "5 6",
            "[1,]",
            "{'a':1}",
            "01",
            "+1",
            ".5",
            "NaN",
            "-Infinity",
            "True",
            '"\\ud800"',
            '{"\\udc00":1}',
            '"a\nb"',
            "1e999",
            "-1e999",
            "9" * 5_000,
            "\u00a05",
            '"open',
            "a\x00b",
            nested(DEPTH + 1).decode(),
        ):
            value = json_value(text.encode(), DEPTH)
            self.assertEqual(json.loads(value), text)
            self.assertEqual(text_of(value), text.encode())

    @given(TEXTS)
    @example('{"a":1}')
    def test_a_value_or_the_text(self, text: str) -> None:
        value = json_value(text.encode(), DEPTH)
        try:
            expected = json.loads(text)
        except ValueError:
            expected = text
        self.assertIn(json.loads(value), (expected, text))
        self.assertEqual(value.decode(), value.decode().strip(" \t\r\n"))

    @given(JSON)
    def test_what_is_json_is_a_value(self, value: object) -> None:
        text = json.dumps(value).encode()
        self.assertEqual(json_value(text, DEPTH), text)


class TextOfTests(SynchronousTestCase):
    def test_a_string_is_what_it_says(self) -> None:
        self.assertEqual(text_of(b'"h\\u00e9\\n\\"llo"'), 'hé\n"llo'.encode())

    def test_all_else_is_the_json_that_it_is(self) -> None:
        for item in (b'{"a": 1}', b'["x"]', b"5", b"null", b'"\\ud800"'):
            self.assertEqual(text_of(item), item)


class MessageTests(SynchronousTestCase):
    def test_each_form(self) -> None:
        peer = RecordingPeer()
        message = text_message('a"b', b" [1] ", 2, peer, 100)
        self.assertEqual(message.payload, b'{"command":"send-message","channel":"a\\"b","data":[[1]]}')
        self.assertEqual((message.items, message.texts), ((b"[1]",), (b" [1] ",)))
        self.assertEqual((message.limit, message.sender), (2, peer))

    def test_the_frame_is_not_nested_deeper_than_any_other(self) -> None:
        for max_depth in (1, 2, 3, 10):
            for depth in range(12):
                message = text_message("c", nested(depth) or b"1", 0, RecordingPeer(), max_depth)
                found = json.loads(message.payload)["data"][0]
                self.assertEqual(isinstance(found, str), depth > max_depth - 2)
