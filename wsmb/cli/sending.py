"""What `wsmb send` says: frames, pings between them, and how much of it is certain in the end.

The pings are for the original broker, which gives no confirms (see Receipts).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from wsmb.cli.arguments import DONE, FAILED
from wsmb.client.commands import PING
from wsmb.client.core import Answer, Confirm, Connection, Event, Loss, Receipts, Refusal

FRAMES_A_PING = 1_000
REASON_S = 1.0
"""How long a broker that confirms may take to say what it has refused."""


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
    What was refused is said by the number that its frame wants to be confirmed as; `noun` goes before it.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        finish: Callable[..., None],
        clock: Any,
        timeout_s: float,
        noun: str = "line",
    ) -> None:
        self.source: Source
        self._noun = noun
        self._say = say
        self._finish_run = finish
        self._clock = clock
        self._timeout_s = timeout_s
        self._timer: Any = None
        self._too_late: Callable[[], None] | None = None
        self._connection: Connection | None = None
        self._receipts = Receipts()
        self._has_ended = False
        self._bad = 0
        self._is_rejected = False
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
        """A confirm or an answer has come, and perhaps it was the last."""
        if isinstance(event, Confirm):
            self._receipts.confirmed(is_accepted=event.is_accepted)
            if not event.is_accepted:
                self.skip(f"{self._noun} {event.confirm} was refused: {event.response_text}")
            self._go_on()
        elif isinstance(event, Answer):
            self._answered(event)
        elif isinstance(event, Refusal):
            self.skip(f"the broker has refused something: {event.response_text}")

    def _answered(self, answer: Answer) -> None:
        if self._is_rejected and not self._receipts.has_confirms:
            self._rejected()
            return
        self._receipts.answered()
        if answer.is_accepted or self._receipts.has_confirms:
            self._go_on()
        else:
            self._is_rejected = True
            self._wait(self._rejected, REASON_S)

    def _go_on(self) -> None:
        if self._has_ended:
            self._wait(self._unanswered)
            self._settle()
        elif self._timer is not None:
            self._stop_waiting()

    def lost(self, loss: Loss) -> None:
        """A connection has ended, or was not made. Once something was sent, that is the end."""
        self._last_reason = loss.reason
        if loss.is_final:
            self._finish(FAILED, loss.reason)
        elif self._is_rejected and not self._receipts.has_confirms:
            self._rejected()
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
        receipts = self._receipts
        if not receipts.is_settled:
            return
        if self._is_rejected and not receipts.has_confirms:
            self._rejected()
        elif not receipts.is_complete:
            self._finish(FAILED, f"not all was confirmed{self._certainty()}")
        else:
            self._finish(FAILED if self._bad else DONE)

    def _finish(self, status: int, line: str = "") -> None:
        self._stop_waiting()
        if self._connection is not None:
            self.source.stopProducing()
        self._finish_run(status, line)

    def _certainty(self) -> str:
        return f": {self._receipts.certain} of {self._receipts.sent} items sent were certainly carried out"

    def _wait(self, too_late: Callable[[], None], seconds: float | None = None) -> None:
        seconds = self._timeout_s if seconds is None else seconds
        if self._timer is not None and self._too_late == too_late:
            self._timer.reset(seconds)  # one for each confirm would cost more than the confirm
        else:
            self._stop_waiting()
            self._timer, self._too_late = self._clock.callLater(seconds, self._time_is_up), too_late

    def _time_is_up(self) -> None:
        self._timer = None
        if self._too_late is not None:
            self._too_late()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rejected(self) -> None:
        self._finish(FAILED, f"the broker has refused it (01){self._certainty()}")

    def _unreached(self) -> None:
        self._finish(
            FAILED, f"not connected within {self._timeout_s:g} s: {self._last_reason or 'no answer'}"
        )

    def _unanswered(self) -> None:
        self._finish(FAILED, f"no answer for {self._timeout_s:g} s{self._certainty()}")
