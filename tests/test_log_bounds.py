"""Tests for wsmb.log_bounds."""

from __future__ import annotations

import os
from typing import Any

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
