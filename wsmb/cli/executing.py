"""What `wsmb receive --exec` does with what comes: run a command for each item, and tell the broker."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from wsmb.cli.arguments import DONE, FAILED
from wsmb.cli.asking import Asking
from wsmb.cli.item_environment import item_environment
from wsmb.cli.jobs import Job, Outcome
from wsmb.cli.work import Work
from wsmb.client.commands import ack_message, leave_channel, ping, reject_message
from wsmb.client.core import Confirm, Connection, Delivery, Event, Loss
from wsmb.errors import Code

CONFIRM_S = 5.0
NO_EXIT_STATUS = 127
_LAST = "last"


class Commands(Protocol):
    """Where commands run; wsmb.cli.shell.Shell."""

    def __len__(self) -> int:
        """How many run."""

    def start(self, environ: Mapping[bytes, bytes], stdin: bytes, ended: Callable[[int, bool], None]) -> None:
        """Run it, and call `ended` with its exit status and whether it took too long. Raises OSError."""

    def kill(self) -> None:
        """End all at once."""


class Executing:
    """Asks for the channels on each new connection, and runs up to `jobs` commands at once.

    `prefetch` is how many frames of a channel may be here; an exit status in `dead_on` means that no other
    try is of use.
    """

    def __init__(
        self,
        channels: Sequence[str],
        commands: Commands,
        work: Work,
        say: Callable[[str], None],
        finish: Callable[..., None],
        clock: Any,
        *,
        jobs: int,
        prefetch: int,
        dead_on: Collection[int] = (),
    ) -> None:
        self._channels = channels
        self._commands = commands
        self._work = work
        self._say = say
        self._finish = finish
        self._clock = clock
        self._jobs = jobs
        self._prefetch = prefetch
        self._dead_on = dead_on
        self._connection: Connection | None = None
        self._was_open = False
        self._is_lost = False
        self._said: set[str] = set()
        self._end: tuple[int, str] | None = None
        self._is_ending = False
        self._asking = Asking(channels, self._refused, self._came_too_late, clock)

    def start(self) -> None:
        """The reactor runs."""

    def opened(self, connection: Connection) -> None:
        """A connection is open: ask for the channels."""
        self._connection = connection
        self._was_open = True
        if self._is_lost:
            self._is_lost = False
            self._say("connected")
        if self._end is None:
            self._asking.ask(connection, self._prefetch)

    def received(self, event: Event) -> None:
        """Items, the greeting, or what is said of acknowledgements."""
        if isinstance(event, Delivery):
            if event.number is None:
                self._say_once("this broker knows no acknowledgements: what fails does not come again")
            self._work.came(
                event.number,
                str(event.channel),
                event.lines(),
                self._clock.seconds(),
                is_redelivered=event.is_redelivered,
            )
            self._go_on()
        elif not self._asking.heard(event) and isinstance(event, Confirm):
            self._confirmed(event)

    def lost(self, loss: Loss) -> None:
        """A connection has ended, or was not made: say so once. What runs goes on."""
        self._connection = None
        self._asking.lost()
        self._work.lost(self._clock.seconds())
        if loss.is_final and not self._was_open:
            self._finish(FAILED, loss.reason)
        elif self._is_ending:
            self._finish_now()
        elif self._end is not None:
            self._go_on()
        elif not self._is_lost:
            self._is_lost = True
            what = "connection lost" if self._was_open else "not connected"
            self._say(f"{what} ({loss.reason}); trying again")

    def interrupted(self) -> None:
        """The first signal lets the running commands finish, the second one ends them."""
        if self._end is None:
            self._stop(DONE, "")
        else:
            self._commands.kill()
            self._finish(FAILED, "interrupted twice: what was running was killed, and comes again")

    # Commands

    def _go_on(self) -> None:
        """Begin what can be begun, say what there is to be said, and end if nothing is left."""
        while len(self._commands) < self._jobs:
            job = self._work.next(self._clock.seconds())
            if job is None:
                break
            self._begin(job)
        self._answer()
        if self._end is not None and not len(self._commands) and not self._is_ending:
            self._is_ending = True
            if self._connection is None:
                self._finish_now()
            else:
                self._connection.send(ping(_LAST))
                self._clock.callLater(CONFIRM_S, self._finish_now)

    def _begin(self, job: Job) -> None:
        environ = item_environment(job.channel, job.item, is_redelivered=job.is_redelivered)

        def ended(status: int, is_late: bool) -> None:
            self._ended(job, status, is_late=is_late)
            self._go_on()

        try:
            self._commands.start(environ, job.item + b"\n", ended)
        except OSError as error:
            self._say(f"the command could not be run: {error.strerror or error}")
            self._ended(job, NO_EXIT_STATUS, is_late=False)

    def _ended(self, job: Job, status: int, *, is_late: bool) -> None:
        outcome = Outcome.DONE
        if status or is_late:
            outcome = Outcome.DEAD if status in self._dead_on and not is_late else Outcome.FAILED
        retry_s = self._work.ended(job, outcome, self._clock.seconds())
        if outcome is not Outcome.DONE:
            how = "took too long" if is_late else _how(status)
            then = "no other try" if outcome is Outcome.DEAD else f"another try after {retry_s:g} s"
            self._say(f"channel {job.channel}: the command {how}; {then}")

    def _answer(self) -> None:
        answers = self._work.take_answers()
        for number, is_done, delay_s in answers:
            if is_done:
                self._send(ack_message([number], confirm=number))
            else:
                self._send(reject_message([number], delay_s=delay_s))

    def _confirmed(self, confirm: Confirm) -> None:
        if confirm.confirm == _LAST:
            self._finish_now()
        elif isinstance(confirm.confirm, int):
            self._work.confirmed(confirm.confirm, self._clock.seconds(), is_accepted=confirm.is_accepted)
            if confirm.response_code == Code.UNKNOWN_DELIVERY.number:
                self._came_too_late()
            self._go_on()

    # The end

    def _refused(self, line: str) -> None:
        self._stop(FAILED, line)

    def _came_too_late(self) -> None:
        self._say_once(
            "a command has ended after the broker's ack_timeout, so that its item comes again:"
            " make ack_timeout more than twice as long as --timeout"
        )

    def _stop(self, status: int, line: str) -> None:
        if self._end is not None:
            return
        self._end = status, line
        for channel in self._channels:
            self._send(leave_channel(channel))
        self._work.stop(self._clock.seconds())
        if running := len(self._commands):
            self._say(f"waiting for {running} running commands")
        self._go_on()

    def _finish_now(self) -> None:
        if self._end is not None:
            self._finish(*self._end)

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._say(line)

    def _send(self, command: bytes) -> None:
        if self._connection is not None:
            self._connection.send(command)


def _how(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"ended with {status}"
