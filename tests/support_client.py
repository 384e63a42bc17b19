"""What the tests of the client and of the commands share: a connection and a console that remember."""

from __future__ import annotations

import json
from typing import Any

from wsmb import replies
from wsmb.client import core

ACCEPTED = core.Answer("00", [{"time_stamp": "2026-11-22T21:00:00.000Z"}])
REJECTED = core.Answer("01", [{"time_stamp": "2026-11-22T21:00:00.000Z"}])
BROKEN = core.Loss("closed by the broker")
REFUSED = core.Loss("refused: 401 Unauthorized", 401)
UNTRUSTED = core.Loss("TLS: the certificate is for another host", is_untrusted=True)


def delivery(channel: str, data: bytes) -> core.Delivery:
    event = core.decode(b'{"command":"send-message","channel":"%s","data":%s}' % (channel.encode(), data))
    if not isinstance(event, core.Delivery):
        raise TypeError(event)
    return event


def numbered(channel: str, data: bytes, number: int, *, is_redelivered: bool = False) -> core.Delivery:
    """A frame that is to be acknowledged."""
    payload = b'{"command":"send-message","channel":"%s","data":%s}' % (channel.encode(), data)
    event = core.decode(replies.numbered(payload, number, is_redelivered))
    if not isinstance(event, core.Delivery):
        raise TypeError(event)
    return event


def confirm(name: str | int, code: str = "00", text: str = "Accepted", **data: object) -> core.Confirm:
    return core.Confirm(name, code, text, [data])


class RecordingConnection:
    """A wsmb.client.core.Connection that remembers what it was sent."""

    def __init__(self, pause_after: int = 0) -> None:
        self.sent: list[dict[str, Any]] = []
        self.aborted = False
        self.producer: Any = None
        self._pause_after = pause_after

    def send(self, payload: bytes) -> None:
        self.sent.append(json.loads(payload))
        if self._pause_after and len(self.sent) % self._pause_after == 0:
            self.producer.pauseProducing()

    def pace(self, producer: object) -> None:
        self.producer = producer

    def abort(self) -> None:
        self.aborted = True

    def commands(self) -> list[str]:
        return [one["command"] for one in self.sent]

    def items(self) -> list[object]:
        return [item for one in self.sent if one["command"] == "send-message" for item in one["data"]]


class RecordingConsole:
    """What a command has said, and how it has ended."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.ends: list[tuple[int, str]] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def finish(self, status: int, line: str = "") -> None:
        self.ends.append((status, line))


class ReaderReactor:
    """The part of a reactor that reads: remembers who wants to."""

    def __init__(self) -> None:
        self.readers: set[object] = set()

    def addReader(self, reader: object) -> None:
        self.readers.add(reader)

    def removeReader(self, reader: object) -> None:
        self.readers.discard(reader)
