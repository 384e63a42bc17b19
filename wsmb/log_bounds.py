"""Bounds on what twistd logs: how many lines of one kind a minute, how many files, and which characters.

Whoever connects and leaves in a loop, or sends frames that are none, has each time a line in the log; a
wrong password is not even needed for some of them. twistd itself would keep all of its files for ever.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    formatEventAsClassicLogText,
)
from twisted.python.logfile import LogFile
from zope.interface import implementer

from wsmb.log_json import json_line_of
from wsmb.settings import LogFormat

MOST_LINES = 300
"""Of one kind in a minute; a restart with a few hundred clients is still told line by line."""
MOST_FAILURES = 10
"""The same for those with a traceback."""
MOST_KINDS = 500
MINUTE_S = 60.0
ROTATE_BYTES = 1_000_000
MOST_FILES = 20
"""Older ones, beside the one that is written."""

Kind = tuple[str, str]


@implementer(ILogObserver)
class LimitedObserver:
    """Hands on at most so many events of a kind (namespace and format) a minute.

    How many more there were is said with the first event after that minute; `now`: seconds, monotonic.
    """

    def __init__(self, observer: Callable[[LogEvent], None], now: Callable[[], float]) -> None:
        self._observer = observer
        self._now = now
        self._minute_ends_s = 0.0
        self._seen: dict[Kind, int] = {}

    def __call__(self, event: LogEvent) -> None:
        """An event has happened."""
        now_s = self._now()
        if now_s >= self._minute_ends_s:
            self._minute_ends_s = now_s + MINUTE_S
            self._begin_minute(event)
        kind = self._kind(event)
        seen = self._seen[kind] = self._seen.get(kind, 0) + 1
        if seen <= _most(kind):
            self._observer(event)

    def _kind(self, event: LogEvent) -> Kind:
        failed = "log_failure" in event or bool(event.get("isError"))
        kind = (_FAILURES if failed else str(event.get("log_namespace")), str(event.get("log_format")))
        return kind if kind in self._seen or len(self._seen) < MOST_KINDS else (kind[0], "others")

    def _begin_minute(self, event: LogEvent) -> None:
        # Replaced before it is read: other threads log, too.
        seen, self._seen = self._seen, {}
        for kind, count in seen.items():
            if count > _most(kind):
                self._observer(
                    {
                        "log_level": LogLevel.warn,
                        "log_namespace": __name__,
                        "log_time": event.get("log_time", time.time()),
                        "log_format": "{count} more lines in a minute like: {kind}",
                        "count": count - _most(kind),
                        "kind": " ".join(kind),
                    }
                )


_FAILURES = "a failure:"


def _most(kind: Kind) -> int:
    return MOST_FAILURES if kind[0] == _FAILURES else MOST_LINES


def bound_log(
    application: Any, twistd_options: Mapping[str, Any] | None, log_format: LogFormat = LogFormat.TEXT
) -> None:
    """Let `application` log within bounds, to where twistd's options say; not to syslog.

    It counts only before twistd begins to log, that is while it makes the services. A `--logger` goes
    before it.
    """
    if twistd_options is None or twistd_options.get("syslog"):
        return
    is_daemon = not twistd_options.get("nodaemon")
    to_file = twistd_options.get("logfile") or ("twistd.log" if is_daemon else "-")
    if to_file == "-" and is_daemon:
        return  # twistd says what is wrong with that
    observer = LimitedObserver(_observer(to_file, log_format), time.monotonic)
    application.setComponent(ILogObserver, observer)


def _observer(to_file: str, log_format: LogFormat) -> Callable[[LogEvent], None]:
    """As twistd makes it, but for the number of files, and the form of a line."""
    write = json_line_of if log_format is LogFormat.JSON else line_of
    if to_file == "-":
        return FileLogObserver(sys.stdout, write)
    file = cast(Any, LogFile).fromFullPath(to_file, rotateLength=ROTATE_BYTES, maxRotatedFiles=MOST_FILES)
    if not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, lambda *_: _rotate(file))
    return FileLogObserver(file, write)


def line_of(event: LogEvent) -> str | None:
    """What twistd writes of `event`, with escapes for all that a terminal or a reader of lines obeys.

    Most of what it could come from is refused earlier; a user may still be called something that is read
    from right to left, and Autobahn and databases say what they like. Only tracebacks have several lines.
    """
    text = formatEventAsClassicLogText(event)
    if text is None:
        return None
    between = _NEXT_LINE if "log_failure" in event else r"\n"
    return between.join(map(_plain, text[:-1].split(_NEXT_LINE))) + "\n"


_NEXT_LINE = "\n\t"  # so Twisted writes it


def _plain(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _rotate(file: Any) -> None:
    # twistd has its own reactor only once it runs.
    from twisted.internet import reactor  # noqa: PLC0415

    cast(Any, reactor).callFromThread(file.rotate)
