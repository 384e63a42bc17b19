"""A line of the log as a JSON object: what the text says, and the fields that it is made of."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from string import Formatter
from typing import Any

from twisted.logger import LogEvent, formatEvent

MOST_CHARS = 10_000
"""Of one field."""
_RESERVED = frozenset({"time", "level", "namespace", "text", "traceback"})


def json_line_of(event: LogEvent) -> str | None:
    """`event` on one line, in ASCII; None if it says nothing.

    Of its fields only those that stand in its text, so that no log says more than the other.
    """
    text = formatEvent(event)
    failure = event.get("log_failure")
    if not text and failure is None:
        return None
    line: dict[str, Any] = {
        "time": _time(event.get("log_time")),
        "level": getattr(event.get("log_level"), "name", "info"),
        "namespace": str(event.get("log_namespace", "-")),
        "text": _short(text),
    }
    for name in _names(event.get("log_format")):
        if name in event and name not in _RESERVED and not name.startswith("log_"):
            line[name] = _plain(event[name])
    if failure is not None:
        line["traceback"] = _short(_traceback(failure))
    return json.dumps(line) + "\n"


def _names(log_format: object) -> list[str]:
    """The fields of a format that are named as such: `{user}`, but not `{user.name}` or `{call()}`."""
    if not isinstance(log_format, str):
        return []
    try:
        return [name for _, name, _, _ in Formatter().parse(log_format) if name and name.isidentifier()]
    except ValueError:
        return []


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float) else _short(str(value))


def _short(text: str) -> str:
    return text if len(text) <= MOST_CHARS else text[:MOST_CHARS] + "…"


def _time(seconds: Any) -> str:
    """ISO 8601 in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(seconds or 0, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _traceback(failure: Any) -> str:
    try:
        return str(failure.getTraceback())
    except Exception:
        return "(a traceback that cannot be shown)"
