"""`wsmb receive`: print what comes on channels, one JSON line for each item."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wsmb.cli import arguments as common
from wsmb.cli.arguments import DONE, FAILED
from wsmb.cli.output import Output, OutputInterrupted
from wsmb.client.commands import receive_message
from wsmb.client.core import (
    Answer,
    Connection,
    Delivery,
    Event,
    Loss,
    with_channel,
)

PROOF_S = 0.3

DESCRIPTION = """\
Print each item that comes on the channels as one line of JSON. Connects again, for ever, when the
connection is lost; ends on SIGTERM, SIGINT, after --count items, and when nobody reads its output."""

EXAMPLE = """\
  wsmb receive sms | while read -r item; do echo "got $item"; done"""


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Carry out `wsmb receive` with the arguments after that word. Raises UsageError."""
    arguments = _parser().read(argv)
    channels = common.channels(arguments.words, environ)
    target = common.target(arguments, environ)
    if arguments.count == 0:
        return DONE
    if sys.stdout is None:
        raise common.UsageError("standard output is closed")
    output = Output(sys.stdout.fileno())

    def make(console: Any, reactor: Any) -> Receiving:
        receiving = Receiving(
            channels,
            output.write,
            console.say,
            console.finish,
            reactor,
            arguments.count,
            arguments.with_channel,
        )
        output.watch(reactor, receiving.interrupted)
        return receiving

    from wsmb.cli.running import run  # noqa: PLC0415 (Twisted only once the arguments are right)

    return run("receive", target, make, output.interrupt)


def _parser() -> common.Parser:
    parser = common.Parser("wsmb receive", "CHANNEL [CHANNEL ...] ", DESCRIPTION, EXAMPLE)
    parser.add_argument("words", nargs="*", metavar="CHANNEL", help="one or more channels")
    parser.add_argument(
        "--count",
        type=common.count,
        metavar="N",
        help="end after N items; what else was on its way then is not printed and not kept",
    )
    parser.add_argument(
        "--with-channel", action="store_true", help='print {"channel":...,"data":...} for each item'
    )
    parser.add_target()
    return parser


class Receiving:
    """Asks for the channels on each new connection, and prints what comes.

    `count` is how many items to print, None for no end.
    """

    def __init__(
        self,
        channels: Sequence[str],
        write: Callable[[bytes], None],
        say: Callable[[str], None],
        finish: Callable[..., None],
        clock: Any,
        count: int | None = None,
        with_channel: bool = False,
    ) -> None:
        self._channels = channels
        self._write = write
        self._say = say
        self._finish = finish
        self._clock = clock
        self._left = count
        self._with_channel = with_channel
        self._connection: Connection | None = None
        self._was_open = False
        self._is_lost = False

    def start(self) -> None:
        """The reactor runs."""

    def opened(self, connection: Connection) -> None:
        """A connection is open: ask for the channels."""
        self._connection = connection
        self._was_open = True
        if self._is_lost:
            self._is_lost = False
            self._say("connected")
        for channel in self._channels:
            connection.send(receive_message(channel))

    def received(self, event: Event) -> None:
        """Items, or the greeting."""
        if isinstance(event, Delivery):
            self._print(event)
        elif isinstance(event, Answer) and not event.is_accepted:
            self._finish(FAILED, f"the broker has refused it ({event.response_code})")

    def lost(self, loss: Loss) -> None:
        """A connection has ended, or was not made: say so once."""
        self._connection = None
        if loss.is_refusal and not self._was_open:
            self._finish(FAILED, loss.reason)
        elif self._left == 0:
            self._finish(DONE)
        elif not self._is_lost:
            self._is_lost = True
            what = "connection lost" if self._was_open else "not connected"
            self._say(f"{what} ({loss.reason}); trying again")

    def interrupted(self) -> None:
        """A signal, or nobody reads the output any more."""
        self._finish(DONE)

    def _print(self, delivery: Delivery) -> None:
        lines = delivery.lines()
        taken = lines if self._left is None else lines[: self._left]
        if self._with_channel:
            taken = [with_channel(delivery.channel, line) for line in taken]
        try:
            self._write(b"".join(line + b"\n" for line in taken))
        except (OSError, OutputInterrupted) as error:
            self._break_off(error)
            return
        if self._left is not None:
            self._left -= len(taken)
            if len(taken) < len(lines):
                # Not to be answered with a pong: it was not taken whole.
                self._break_off()
            elif self._left == 0:
                # A broker that asks with a ping whether it has arrived gets its pong.
                self._clock.callLater(PROOF_S, self._finish, DONE)

    def _break_off(self, error: BaseException | None = None) -> None:
        if self._connection is not None:
            self._connection.abort()
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            self._finish(FAILED, f"standard output: {error.strerror or error}")
        else:
            self._finish(DONE)
