"""Reading a channel of dead letters to its end, as a receiver that acknowledges.

What is not acknowledged stays there: it is the broker's again as soon as the connection ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from wsmb.cli.arguments import FAILED
from wsmb.cli.letters import Letter, letter
from wsmb.client.commands import PING, leave_channel, ping, receive_message
from wsmb.client.core import Answer, Confirm, Connection, Delivery, Event, Loss, Refusal
from wsmb.wire import MAX_PREFETCH

_KNOWN, _READING, _LOOK = "known", "reading", "look"


class Action(Protocol):
    """What is to be done with the letters."""

    def read(self, letters: Sequence[Letter], connection: Connection) -> None:
        """These have come since the last call, and no more seem to come."""

    def confirmed(self, confirm: Confirm) -> None:
        """The broker has answered something that the action has asked."""


class LetterBox:
    """Collects the letters of `channel` from the channel `box`, until no more come.

    The end is not marked. It is taken for reached when the broker, which reads its store in order, has
    answered a ping that was sent after the last letter came, and nothing has come for `wait_s`.
    """

    def __init__(
        self,
        channel: str,
        box: str,
        say: Callable[[str], None],
        finish: Callable[..., None],
        clock: Any,
        *,
        wait_s: float,
        timeout_s: float,
    ) -> None:
        self.action: Action
        self.began = ""
        """The broker's time when it was asked."""
        self._channel = channel
        self._box = box
        self._say = say
        self._finish = finish
        self._clock = clock
        self._wait_s = wait_s
        self._timeout_s = timeout_s
        self._timer: Any = None
        self._connection: Connection | None = None
        self._letters: list[Letter] = []
        self._seen = 0
        self._others = 0
        self._seen_at_look = 0
        self._is_known = False
        self._answers = 0

    def start(self) -> None:
        """The reactor runs."""
        self._timer = self._clock.callLater(self._timeout_s, self._no_answer)

    def opened(self, connection: Connection) -> None:
        """A connection is open. Receiving is only for a broker that knows acknowledgements."""
        self._connection = connection
        connection.send(leave_channel(self._box, _KNOWN))
        connection.send(PING)

    def received(self, event: Event) -> None:
        """A letter, or the answer to something."""
        if self._connection is None:
            return
        self._timer.reset(self._timeout_s)
        if isinstance(event, Delivery):
            self._collect(event)
        elif isinstance(event, Confirm):
            self._confirmed(event)
        elif isinstance(event, Answer):
            self._answered(event)
        elif isinstance(event, Refusal):
            self._end(f"the broker has refused it: {event.response_text}")

    def lost(self, loss: Loss) -> None:
        """Not reached, or lost."""
        self._end(loss.reason)

    def interrupted(self) -> None:
        """SIGINT or SIGTERM."""
        self._end("interrupted")

    def look(self) -> None:
        """See whether more letters come, and then tell the action of them."""
        self._seen_at_look = self._seen
        if self._connection is not None:
            self._connection.send(ping(_LOOK))

    def end(self, status: int) -> None:
        """The action is done."""
        if self._others:
            self._say(f"there are {self._others} more that are no dead letters of {self._channel}")
        if self._seen >= MAX_PREFETCH:
            self._say(f"only the first {MAX_PREFETCH} were looked at: there may be more")
        self._finish_with(status)

    # In

    def _collect(self, delivery: Delivery) -> None:
        self._seen += 1
        lines, number = delivery.lines(), delivery.number
        found = letter(lines[0], number) if len(lines) == 1 and number is not None else None
        if found is None or found.content.channel != self._channel:
            self._others += 1
        else:
            self._letters.append(found)

    def _confirmed(self, confirm: Confirm) -> None:
        if confirm.confirm == _KNOWN:
            self._is_known = True
            self._send(receive_message(self._box, prefetch=MAX_PREFETCH, confirm=_READING))
        elif confirm.confirm == _READING:
            if confirm.is_accepted:
                self.look()
            else:
                self._end(f"the broker has refused it: {confirm.response_text}")
        elif confirm.confirm == _LOOK:
            self._timer.reset(self._timeout_s + self._wait_s)
            self._clock.callLater(self._wait_s, self._waited)
        else:
            self.action.confirmed(confirm)

    def _answered(self, answer: Answer) -> None:
        self._answers += 1
        self.began = self.began or answer.time_stamp
        if not answer.is_accepted:
            self._end(f"the broker is not well ({answer.response_code})")
        elif self._answers > 1 and not self._is_known:
            self._end("this broker has no dead letters: it knows no acknowledgements")

    def _waited(self) -> None:
        if self._connection is None:
            return
        if self._seen > self._seen_at_look:
            self.look()
            return
        letters, self._letters = self._letters, []
        self.action.read(letters, self._connection)

    def _send(self, command: bytes) -> None:
        if self._connection is not None:
            self._connection.send(command)

    # The end

    def _no_answer(self) -> None:
        self._connection = None
        self._finish(FAILED, f"no answer for {self._timeout_s:g} s")

    def _end(self, reason: str) -> None:
        self._finish_with(FAILED, reason)

    def _finish_with(self, status: int, *line: str) -> None:
        if self._timer.active():
            self._timer.cancel()
        self._connection = None
        self._finish(status, *line)
