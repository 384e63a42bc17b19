"""Tests for wsmb.log_bounds."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, Logger, LogLevel, eventAsText, formatEvent
from twisted.python.components import Componentized
from twisted.trial.unittest import SynchronousTestCase

from wsmb.log_bounds import (
    MOST_FAILURES,
    MOST_FILES,
    MOST_KINDS,
    MOST_LINES,
    ROTATE_BYTES,
    LimitedObserver,
    bound_log,
    line_of,
)


class LimitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[Any] = []
        self.observer = LimitedObserver(self.told.append, self.clock.seconds)
        self.log = Logger("test", observer=self.observer)  # type: ignore[arg-type]

    def texts(self) -> list[str]:
        texts = [formatEvent(event) for event in self.told]
        self.told.clear()
        return texts

    def test_so_many_of_one_kind_and_then_their_number(self) -> None:
        for number in range(MOST_LINES + 5):
            self.log.info("{number} came", number=number)
        self.log.info("another")
        self.assertEqual(self.texts()[-2:], [f"{MOST_LINES - 1} came", "another"])
        self.clock.advance(60)
        self.log.info("{number} came", number=7)
        self.assertEqual(self.texts(), ["5 more lines in a minute like: test {number} came", "7 came"])
        self.clock.advance(60)
        self.log.info("{number} came", number=8)
        self.assertEqual(self.texts(), ["8 came"])

    def test_fewer_with_a_traceback(self) -> None:
        for _ in range(MOST_FAILURES + 2):
            try:
                raise KeyError("x")
            except KeyError:
                self.log.failure("it failed")
        self.assertEqual(len(self.texts()), MOST_FAILURES)
        self.clock.advance(61)
        self.log.info("later")
        self.assertEqual(self.texts(), ["2 more lines in a minute like: a failure: it failed", "later"])

    def test_formats_that_never_end(self) -> None:
        for number in range(2 * MOST_KINDS + MOST_LINES):
            self.log.info(f"line {number}")
        self.assertEqual(len(self.texts()), MOST_KINDS + MOST_LINES)

    def test_what_is_said_is_an_event_like_others(self) -> None:
        for _ in range(MOST_LINES + 1):
            self.log.info("{password}", password="hidden")
        self.told.clear()
        self.clock.advance(60)
        self.log.info("x")
        self.assertIs(self.told[0]["log_level"], LogLevel.warn)
        self.assertRegex(eventAsText(self.told[0]), r"^20.*\[wsmb.log_bounds#warn\] 1 more lines")
        self.assertNotIn("hidden", eventAsText(self.told[0]))


class LineTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lines: list[str | None] = []
        observer: Any = lambda event: self.lines.append(line_of(event))  # noqa: E731
        self.log = Logger("test", observer=observer)

    def line(self, name: str) -> str:
        self.log.info("{name} came", name=name)
        found = self.lines.pop()
        assert found is not None
        return found

    def test_what_can_be_seen_is_written_as_it_is(self) -> None:
        for name in ("qa", "café", "日本 x", "\\n {name}"):
            self.assertRegex(self.line(name), rf"^20\S+ \[test#info\] {re.escape(name)} came\n$")

    def test_what_cannot_is_written_as_an_escape(self) -> None:
        for character, expected in (
            ("\n", r"\n"),
            ("\r", r"\r"),
            ("\t", r"\t"),
            ("\x1b", r"\x1b"),
            ("\x9b", r"\x9b"),
            ("\u2028", r"\u2028"),
            ("\u202e", r"\u202e"),
            ("\u2066", r"\u2066"),
            ("\u200b", r"\u200b"),
            ("\ud800", r"\ud800"),
            ("\U000e0041", r"\U000e0041"),
        ):
            self.assertTrue(self.line(f"a{character}b").endswith(f"] a{expected}b came\n"))

    @given(st.text(st.characters(exclude_categories=())))
    def test_one_line_whatever_comes(self, name: str) -> None:
        line = self.line(name)
        self.assertTrue(line.endswith("\n"))
        self.assertTrue(line[:-1].isprintable())

    def test_a_traceback_has_its_lines(self) -> None:
        try:
            raise KeyError("\x1b[31m\u2028")
        except KeyError:
            self.log.failure("it failed")
        (line,) = self.lines
        assert line is not None
        self.assertIn("\n\tTraceback (most recent call last):\n\t", line)
        self.assertTrue(all(one.isprintable() for one in line[:-1].replace("\n\t", "").splitlines()))

    def test_nothing_is_made_of_nothing(self) -> None:
        self.assertIsNone(line_of({"log_format": ""}))


class OptionTests(SynchronousTestCase):
    def observer(self, **options: object) -> Any:
        application = Componentized()
        bound_log(application, options)
        return application.getComponent(ILogObserver)

    def test_not_where_twistd_does_something_else(self) -> None:
        self.assertIsNone(self.observer(syslog=True))
        self.assertIsNone(self.observer(logfile="-", nodaemon=False))
        application = Componentized()
        bound_log(application, None)
        self.assertIsNone(application.getComponent(ILogObserver))

    def test_to_standard_output(self) -> None:
        for logfile in (None, "-"):
            self.assertIsInstance(self.observer(nodaemon=True, logfile=logfile), LimitedObserver)

    def test_files_are_rotated_and_the_oldest_removed(self) -> None:
        folder = self.mktemp()
        os.mkdir(folder)
        log = Logger("test", observer=self.observer(logfile=f"{folder}/log"))
        for number in range(2 * MOST_FILES):
            log.info("{number} {text}", number=number, text="x" * ROTATE_BYTES)
        self.assertEqual(len(os.listdir(folder)), MOST_FILES + 1)

    def test_what_is_written_to_files_is_escaped(self) -> None:
        file = Path(self.mktemp())
        Logger("test", observer=self.observer(logfile=str(file))).info("{name}", name="\u202eé\ud800\n")
        self.assertTrue(file.read_bytes().endswith("\\u202eé\\ud800\\n\n".encode()))
