"""What `wsmb receive` does with what comes: print, then acknowledge; or leave it to the broker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from wsmb.cli.arguments import DONE, FAILED
from wsmb.cli.asking import Asking
from wsmb.cli.output import OutputInterrupted
from wsmb.client.commands import ack_message, leave_channel, reject_message
from wsmb.client.core import Confirm, Connection, Delivery, Event, Loss, with_channel

PROOF_S = 0.3
CONFIRM_S = 5.0
BLOCKED_S = 0.01
MOST_GIVEN_BACK = 3
"""Frames in a row that are given back, before what comes is taken as it is."""
_LAST = "last"


class Receiving:
    """Asks for the channels on each new connection, prints what comes, and acknowledges it.

    `count` is how many items to print, None for no end; `prefetch` how many frames may be on their way,
    None to acknowledge nothing; `accepted` is called when a channel is received on. A frame without a number
    (of the original broker) is not acknowledged.
    """

    def __init__(
        self,
        channels: Sequence[str],
        write: Callable[[bytes], None],
        say: Callable[[str], None],
        finish: Callable[..., None],
        clock: Any,
        *,
        count: int | None = None,
        with_channel: bool = False,
        prefetch: int | None = None,
        accepted: Callable[[], None] = lambda: None,
    ) -> None:
        self._channels = channels
        self._write = write
        self._say = say
        self._finish = finish
        self._clock = clock
        self._left = count
        self._with_channel = with_channel
        self._prefetch = prefetch
        self._connection: Connection | None = None
        self._was_open = False
        self._is_lost = False
        self._was_late = False
        self._given_back: list[bytes] = []
        self._came: deque[tuple[int, Delivery]] = deque()
        self._is_waiting = False
        self._is_over = False
        self._asking = Asking(channels, self._refused, self._slow_down, clock, accepted)

    def start(self) -> None:
        """The reactor runs."""

    def opened(self, connection: Connection) -> None:
        """A connection is open: ask for the channels."""
        self._connection = connection
        self._was_open = True
        if self._is_lost:
            self._is_lost = False
            self._say("connected")
        self._asking.ask(connection, self._prefetch)

    def received(self, event: Event) -> None:
        """Items, the greeting, or what is said of acknowledgements."""
        if isinstance(event, Delivery):
            if self._prefetch is None or event.number is None:
                self._take_unnumbered(event)
            else:
                self._came.append((event.number, event))
                if not self._is_waiting:
                    self._work()
        elif not self._asking.heard(event) and isinstance(event, Confirm) and event.confirm == _LAST:
            self._finish(DONE)

    def lost(self, loss: Loss) -> None:
        """A connection has ended, or was not made: say so once."""
        self._connection = None
        self._asking.lost()
        self._came.clear()  # they come again, and their numbers would mean others then
        if loss.is_final and not self._was_open:
            self._finish(FAILED, loss.reason)
        elif self._left == 0:
            self._finish(DONE)
        elif not self._is_lost:
            self._is_lost = True
            what = "connection lost" if self._was_open else "not connected"
            self._say(f"{what} ({loss.reason}); trying again")

    def interrupted(self) -> None:
        """A signal, or nobody reads the output any more."""
        self._is_over = True
        self._finish(DONE)

    # Items

    def _work(self) -> None:
        """Take what has come. After a write that was blocked, the reactor has its turn: else the
        acknowledgements of what was read would leave only when all has been read that came with it."""
        self._is_waiting = False
        while self._came and not self._is_over and not self._is_waiting:
            began = self._clock.seconds()
            self._take(*self._came.popleft())
            if self._clock.seconds() - began > BLOCKED_S:
                self._is_waiting = True
                self._clock.callLater(0, self._work)

    def _take(self, number: int, delivery: Delivery) -> None:
        if self._left == 0:
            return  # it is not ours any more
        lines = delivery.lines()
        if self._is_to_give_back(delivery, len(lines)):
            self._given_back.append(bytes(delivery.data))
            self._send(reject_message([number]))
        elif self._print(delivery, lines):
            is_whole = self._left is None or self._left >= len(lines)
            self._count(len(lines))
            if self._left == 0:
                self._end(number, is_whole=is_whole)
            else:
                self._send(ack_message([number]))

    def _is_to_give_back(self, delivery: Delivery, items: int) -> bool:
        """Whether to have it again in smaller frames; until these come, newer ones have to wait."""
        if self._left is None or len(self._given_back) >= MOST_GIVEN_BACK:
            return False
        if items > self._left:
            return bytes(delivery.data) not in self._given_back
        is_newer = bool(self._given_back) and not delivery.is_redelivered
        if not is_newer:
            self._given_back.clear()
        return is_newer

    def _take_unnumbered(self, delivery: Delivery) -> None:
        lines = delivery.lines()
        too_many = self._left is not None and len(lines) > self._left
        if self._print(delivery, lines):
            self._count(len(lines))
            if too_many:
                # Not to be answered with a pong: it was not taken whole.
                self._abort()
                self._finish(DONE)
            elif self._left == 0:
                # A broker that asks with a ping whether it has arrived gets its pong.
                self._clock.callLater(PROOF_S, self._finish, DONE)

    def _print(self, delivery: Delivery, lines: Sequence[bytes]) -> bool:
        """Print of `lines` what is wanted; whether that went well."""
        taken = lines if self._left is None else lines[: self._left]
        if self._with_channel:
            taken = [with_channel(delivery.channel, line) for line in taken]
        try:
            self._write(b"".join(line + b"\n" for line in taken))
        except (OSError, OutputInterrupted) as error:
            self._is_over = True
            self._abort()
            if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
                self._finish(FAILED, f"standard output: {error.strerror or error}")
            else:
                self._finish(DONE)
            return False
        return True

    def _count(self, items: int) -> None:
        if self._left is not None:
            self._left = max(0, self._left - items)

    # Acknowledgements

    def _end(self, number: int, *, is_whole: bool) -> None:
        """Enough was printed: no more frames, then the last acknowledgement."""
        for channel in self._channels:
            self._send(leave_channel(channel))
        self._send((ack_message if is_whole else reject_message)([number], _LAST))
        self._clock.callLater(CONFIRM_S, self._finish, DONE)

    def _refused(self, line: str) -> None:
        self._finish(FAILED, line)

    def _slow_down(self) -> None:
        """An acknowledgement came too late: what it was for comes again."""
        if self._left == 0:
            return
        if not self._was_late:
            self._was_late = True
            self._say(
                "what reads this output is so slow that the broker delivers items again before they are"
                " acknowledged: a smaller --prefetch, or a longer ack_timeout in the broker, may help"
            )
        if self._prefetch is not None and self._prefetch > 1 and self._connection is not None:
            self._prefetch //= 2
            self._asking.ask(self._connection, self._prefetch)

    def _send(self, command: bytes) -> None:
        if self._connection is not None:
            self._connection.send(command)

    def _abort(self) -> None:
        if self._connection is not None:
            self._connection.abort()
