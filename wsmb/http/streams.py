"""`GET /channels/NAME/events`: server-sent events, acknowledged by what the kernel knows of the connection.

A frame is acknowledged once all bytes of its events have been taken by the other end's TCP and the stream
has stayed open for SETTLE_S after that, or by the Last-Event-ID of the stream that follows it. What is not
goes to that stream, or, KEEP_S after the end, to anybody.
"""

from __future__ import annotations

import re
import secrets
from collections import deque
from collections.abc import Callable, Set
from dataclasses import dataclass

from wsmb.errors import Code
from wsmb.http.call import Call
from wsmb.http.visitor import Delivered, Heard, Said, Visitor

SETTLE_S = 2.0
KEEP_S = 5.0
MOST_KEPT = 1_000
"""Streams that have ended and are kept for those that may follow them."""
HEARTBEAT_S = 15.0
MOST_BYTES = 4_194_304
"""That may be unacknowledged on a stream."""
PREFETCH = 10_000
RETRY_MS = 1_000
_LINE_END = re.compile(rb"\r\n|\r|\n")

Unsent = Callable[[object], int]
"""How many bytes that a transport was given the other end has not taken."""


@dataclass(slots=True)
class _Frame:
    """A frame whose events have been written."""

    number: int
    items: int
    size_bytes: int
    end: int
    """Where its events end, in bytes since the stream's beginning."""
    written_s: float
    taken_s: float | None = None
    """When it was seen that the other end has taken them."""


def event(event_id: str, data: bytes) -> bytes:
    """One event. https://html.spec.whatwg.org/multipage/server-sent-events.html"""
    lines = b"".join(b"data: %s\n" % line for line in _LINE_END.split(data))
    return b"id: %s\n%s\n" % (event_id.encode(), lines)


class Stream:
    """One such request, and what it has not acknowledged for a while after its end."""

    def __init__(
        self, call: Call, make_visitor: Callable[[Heard], Visitor], channel: str, now: Callable[[], float]
    ) -> None:
        self.name = secrets.token_urlsafe(9)
        self.channel = channel
        self.user = call.user
        self.gone_s: float | None = None
        """When its request has ended; None while it has not."""
        self._call = call
        self._now = now
        self._frames: deque[_Frame] = deque()
        self._written = 0
        self._has_begun = False
        self._last_write_s = self._swept_s = now()
        call.over = self._left
        self._visitor = make_visitor(self._heard)
        self._visitor.command("receive-message", channel=channel, ack=True, prefetch=PREFETCH, confirm=1)

    @property
    def is_over(self) -> bool:
        """Whether it is done with for good."""
        return self._visitor.is_ended

    def follows(self, before: Stream, number: int, place: int) -> None:
        """Go on where `before` ended, whose last event that came was item `place` of the frame `number`."""
        while before._frames and before._frames[0].number <= number:
            frame = before._frames.popleft()
            if frame.number < number or place >= frame.items - 1:
                before._acknowledge([frame])
        before.close()

    def sweep(self, now_s: float, unsent: Unsent, patience_s: float) -> None:
        """Acknowledge what has arrived. To be called every second or so: what was written since the last
        call is not looked at, since it may not have got as far as the kernel."""
        if self.gone_s is not None:
            if now_s - self.gone_s >= KEEP_S:
                self.close()
            return
        if self._frames:
            taken = self._written - unsent(self._call.transport)
            for frame in self._frames:
                if frame.taken_s is None and frame.end <= taken and frame.written_s < self._swept_s:
                    frame.taken_s = now_s
            self._swept_s = now_s
            self._settle(now_s)
        if self._frames and self._frames[0].taken_s is None:
            if now_s - self._frames[0].written_s > patience_s:
                self._call.end()
        elif now_s - self._last_write_s >= HEARTBEAT_S:
            self._write(b":\n\n")

    def close(self) -> None:
        """What it has not acknowledged goes to others."""
        self._frames.clear()
        self._visitor.close()
        if self._has_begun:
            self._call.finish()

    def _settle(self, now_s: float) -> None:
        settled = []
        while self._frames and self._frames[0].taken_s is not None:
            if now_s - self._frames[0].taken_s < SETTLE_S:
                break
            settled.append(self._frames.popleft())
        if settled:
            self._acknowledge(settled)

    def _acknowledge(self, frames: list[_Frame]) -> None:
        self._visitor.unacknowledged_bytes -= sum(frame.size_bytes for frame in frames)
        self._visitor.command("ack-message", delivery=[frame.number for frame in frames])

    def _heard(self, heard: Delivered | Said) -> None:
        if isinstance(heard, Delivered):
            self._begin()
            name = f"{self.name}.{heard.number}"
            self._write(b"".join(event(f"{name}.{place}", item) for place, item in enumerate(heard.items)))
            size_bytes, now_s = heard.size_bytes, self._now()
            self._frames.append(_Frame(heard.number, len(heard.items), size_bytes, self._written, now_s))
        elif heard.is_accepted:
            self._begin()
        elif not self._has_begun:
            self._call.refuse(heard.response_code, heard.response_text)
        elif heard.response_code == Code.FORBIDDEN.number:
            self.close()  # the access list has changed

    def _begin(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            # Proxies are not to gather what comes.
            self._call.begin("text/event-stream", x_accel_buffering="no")
            self._write(b"retry: %d\n\n" % RETRY_MS)

    def _write(self, text: bytes) -> None:
        self._written += len(text)
        self._last_write_s = self._now()
        self._call.say(text)

    def _left(self) -> None:
        """The request has ended, by whoever's doing. What it has not acknowledged is kept for a while."""
        self.gone_s = self._now()
        if not self._frames:
            self._visitor.close()
        elif not self._visitor.is_ended:
            self._visitor.command("leave-channel", channel=self.channel)


class Streams:
    """All streams, and those that have ended lately."""

    def __init__(self) -> None:
        self._streams: dict[str, Stream] = {}

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, stream: Stream, last_event_id: str) -> None:
        """A new stream, which says by that, if it is not empty, what came last on an earlier one."""
        match = re.fullmatch(r"([\w-]{1,40})\.([0-9]{1,15})\.([0-9]{1,15})", last_event_id, re.ASCII)
        before = self._streams.get(match[1]) if match else None
        if match and before and (before.user, before.channel) == (stream.user, stream.channel):
            del self._streams[before.name]
            stream.follows(before, int(match[2]), int(match[3]))
        self._streams[stream.name] = stream

    def sweep(self, now_s: float, unsent: Unsent, patience_s: float) -> None:
        """To be called every second or so. `patience_s`: for who takes nothing."""
        gone = [stream for stream in self._streams.values() if stream.gone_s is not None]
        for stream in gone[: max(len(gone) - MOST_KEPT, 0)]:
            stream.close()
        for name, stream in list(self._streams.items()):
            stream.sweep(now_s, unsent, patience_s)
            if stream.is_over:
                del self._streams[name]

    def withdraw(self, users: Set[str] | None = None) -> None:
        """End those of these users; all, if none are named."""
        for name, stream in list(self._streams.items()):
            if users is None or stream.user in users:
                del self._streams[name]
                stream.close()
