"""What `wsmb send` says: frames, pings between them, and how much of it is certain in the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from wsmb.cli.arguments import DONE, FAILED
from wsmb.client.core import PING, Answer, Connection, Event, Loss, Receipts

FRAMES_A_PING = 1_000


class Source(Protocol):
    """Where the frames come from: a push producer of Twisted's kind."""

    def resumeProducing(self) -> None:
        """Go on."""

    def pauseProducing(self) -> None:
        """Give nothing for now, but for what is at hand."""

    def stopProducing(self) -> None:
        """Give nothing more."""


class GivenFrames:
    """Frames that are all there from the beginning."""

    def __init__(self, frames: Sequence[bytes], sending: Sending) -> None:
        self._frames = iter(frames)
        self._sending = sending
        self._is_paused = True

    def resumeProducing(self) -> None:
        """Give frames until told to pause."""
        self._is_paused = False
        while not self._is_paused:
            frame = next(self._frames, None)
            if frame is None:
                self._is_paused = True
                self._sending.end()
            else:
                self._sending.take(frame)

    def pauseProducing(self) -> None:
        """Give nothing for now."""
        self._is_paused = True

    stopProducing = pauseProducing


class Sending:
    """Sends frames over one connection, and finishes when the broker has carried them out.

    `timeout_s` bounds the way to the first connection, and then the wait for each answer at the end.
    """

    def __init__(
        self, say: Callable[[str], None], finish: Callable[..., None], clock: Any, timeout_s: float
    ) -> None:
        self.source: Source
        self._say = say
        self._finish_run = finish
        self._clock = clock
        self._timeout_s = timeout_s
        self._timer: Any = None
        self._connection: Connection | None = None
        self._receipts = Receipts()
        self._has_ended = False
        self._bad = 0
        self._last_reason = ""

    # From the source

    def take(self, frame: bytes) -> None:
        """Send one frame."""
        if self._connection is not None:
            self._connection.send(frame)
            self._receipts.frame_sent()
            if self._receipts.sent % FRAMES_A_PING == 0:
                self._ping(self._connection)

    def skip(self, line: str) -> None:
        """Something was not sent; the rest is."""
        self._bad += 1
        self._say(line)

    def end(self) -> None:
        """There is nothing more to send."""
        self._has_ended = True
        if self._connection is not None:
            if self._receipts.sent:
                self._ping(self._connection)
            self._wait(self._unanswered)
            self._settle()

    def _ping(self, connection: Connection) -> None:
        connection.send(PING)
        self._receipts.ping_sent()

    # From the client

    def start(self) -> None:
        """The reactor runs."""
        self._wait(self._unreached)

    def opened(self, connection: Connection) -> None:
        """A connection is open: begin."""
        self._stop_waiting()
        self._connection = connection
        self._receipts = Receipts()
        if self._has_ended:
            self._wait(self._unanswered)
        else:
            connection.pace(self.source)
            self.source.resumeProducing()

    def received(self, event: Event) -> None:
        """An answer has come, and perhaps it was the last."""
        if isinstance(event, Answer):
            self._receipts.answered()
            if not event.is_accepted:
                self._finish(FAILED, f"the broker has refused it ({event.response_code}){self._certainty()}")
            elif self._has_ended:
                self._wait(self._unanswered)
                self._settle()

    def lost(self, loss: Loss) -> None:
        """A connection has ended, or was not made. Once something was sent, that is the end."""
        self._last_reason = loss.reason
        if loss.is_refusal:
            self._finish(FAILED, loss.reason)
        elif self._receipts.sent:
            self._finish(FAILED, f"the connection broke ({loss.reason}){self._certainty()}")
        elif self._connection is not None:
            self._connection = None
            self.source.pauseProducing()
            self._wait(self._unreached)

    def interrupted(self) -> None:
        """SIGINT or SIGTERM."""
        self._finish(FAILED, f"interrupted{self._certainty()}")

    # The end

    def _settle(self) -> None:
        if self._receipts.is_settled:
            self._finish(FAILED if self._bad else DONE)

    def _finish(self, status: int, line: str = "") -> None:
        self._stop_waiting()
        if self._connection is not None:
            self.source.stopProducing()
        self._finish_run(status, line)

    def _certainty(self) -> str:
        return f": {self._receipts.certain} of {self._receipts.sent} items sent were certainly carried out"

    def _wait(self, too_late: Callable[[], None]) -> None:
        self._stop_waiting()
        self._timer = self._clock.callLater(self._timeout_s, too_late)

    def _stop_waiting(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _unreached(self) -> None:
        self._finish(
            FAILED, f"not connected within {self._timeout_s:g} s: {self._last_reason or 'no answer'}"
        )

    def _unanswered(self) -> None:
        self._finish(FAILED, f"no answer for {self._timeout_s:g} s{self._certainty()}")
