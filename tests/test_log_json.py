"""Tests for wsmb.log_json."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from wsmb.log_json import MOST_CHARS, json_line_of


def line_of(log_format: str, **fields: Any) -> Any:
    event = {"log_time": 1795417186.5734, "log_level": LogLevel.warn, "log_namespace": "n", **fields}
    line = json_line_of({**event, "log_format": log_format})
    return None if line is None else json.loads(line)


class JsonTests(SynchronousTestCase):
    def test_the_text_and_its_fields(self) -> None:
        expected = {
            **{"time": "2026-11-23T06:59:46.573Z", "level": "warn", "namespace": "n"},
            **{"text": "qa left (1000)", "user": "qa", "code": 1000},
        }
        self.assertEqual(line_of("{user} left ({code})", user="qa", code=1000), expected)

    def test_no_field_that_is_not_in_the_text(self) -> None:
        self.assertNotIn("secret", json.dumps(line_of("{user}", user="qa", password="secret")))

    def test_no_field_takes_the_place_of_another(self) -> None:
        line = line_of("{time} {text} {log_namespace}", time=1, text="x")
        self.assertEqual((line["time"][:4], line["text"], "log_namespace" in line), ("2026", "1 x n", False))

    def test_of_what_has_an_attribute_or_is_called_the_text_alone(self) -> None:
        line = line_of("{a.real} {b()} {c[0]}", a=1, b=lambda: 2, c=[3])
        self.assertEqual((line["text"], set(line)), ("1 2 3", {"time", "level", "namespace", "text"}))

    def test_other_things_as_text(self) -> None:
        line = line_of("{a} {b} {c} {d}", a=None, b=True, c=[1], d=0.5)
        self.assertEqual((line["a"], line["b"], line["c"], line["d"]), (None, True, "[1]", 0.5))

    def test_a_traceback(self) -> None:
        try:
            raise KeyError("gone")
        except KeyError:
            line = line_of("it failed", log_failure=Failure())
        self.assertEqual(line["text"], "it failed")
        self.assertIn("KeyError: 'gone'", line["traceback"])

    def test_bounded(self) -> None:
        line = line_of("{a}", a="x" * 100_000)
        self.assertEqual((len(line["a"]), len(line["text"])), (MOST_CHARS + 1, MOST_CHARS + 1))

    def test_nothing_is_made_of_nothing(self) -> None:
        self.assertIsNone(line_of(""))

    def test_a_format_that_is_none(self) -> None:
        self.assertIn("text", line_of("{a", a=1))

    @given(st.text(), st.text())
    def test_one_line_of_ascii_whatever_comes(self, user: str, namespace: str) -> None:
        line = json_line_of({"log_format": "{user} came", "user": user, "log_namespace": namespace})
        assert line is not None
        self.assertEqual((line.isascii(), line.count("\n"), line[-1]), (True, 1, "\n"))
        self.assertTrue(line[:-1].isprintable())
        self.assertEqual(json.loads(line)["user"], user)
