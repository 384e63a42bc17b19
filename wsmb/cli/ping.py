"""`wsmb ping`: ask the broker whether it is well."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wsmb.cli import arguments as common
from wsmb.cli.arguments import DONE, FAILED
from wsmb.client.commands import PING
from wsmb.client.core import Answer, Connection, Event, Loss

DESCRIPTION = """\
Ask the broker whether it is well, with its store if it keeps messages, and print the time stamp of its
answer. Fails at once if it cannot be reached."""

EXAMPLE = """\
  wsmb ping --timeout 3 > /dev/null || echo "the broker is not well\""""


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Carry out `wsmb ping` with the arguments after that word. Raises UsageError."""
    arguments = parser().read(argv)
    target = common.target(arguments, environ)

    def make(console: Any, reactor: Any) -> Pinging:
        return Pinging(_print, console.finish, reactor, arguments.timeout)

    from wsmb.cli.running import run  # noqa: PLC0415 (Twisted only once the arguments are right)

    return run("ping", target, make)


def parser() -> common.Parser:
    """Its arguments."""
    parser = common.Parser("wsmb ping", "", DESCRIPTION, EXAMPLE)
    parser.add_argument(
        "--timeout", type=common.seconds, default=10.0, metavar="SECONDS", help="for the answer (default 10)"
    )
    parser.add_target()
    return parser


def _print(line: str) -> None:
    if sys.stdout is not None:
        os.write(sys.stdout.fileno(), f"{line}\n".encode())


class Pinging:
    """Waits for the greeting, pings, and waits for the answer.

    The greeting comes by itself 100 ms after the upgrade, so that on a slow line it could be taken for
    the answer to a ping that was the first frame.
    """

    def __init__(
        self, show: Callable[[str], None], finish: Callable[..., None], clock: Any, timeout_s: float
    ) -> None:
        self._show = show
        self._finish = finish
        self._clock = clock
        self._timeout_s = timeout_s
        self._connection: Connection | None = None
        self._is_greeted = False

    def start(self) -> None:
        """The reactor runs."""
        self._clock.callLater(
            self._timeout_s, self._finish, FAILED, f"no answer within {self._timeout_s:g} s"
        )

    def opened(self, connection: Connection) -> None:
        """A connection is open."""
        self._connection = connection

    def received(self, event: Event) -> None:
        """The greeting, then the answer."""
        if not isinstance(event, Answer):
            return
        if not event.is_accepted:
            self._finish(FAILED, f"the broker is not well ({event.response_code})")
        elif self._is_greeted:
            self._tell(event.time_stamp)
        elif self._connection is not None:
            self._is_greeted = True
            self._connection.send(PING)

    def _tell(self, time_stamp: str) -> None:
        try:
            self._show(time_stamp)
        except OSError as error:
            self._finish(FAILED, f"standard output: {error.strerror or error}")
        else:
            self._finish(DONE)

    def lost(self, loss: Loss) -> None:
        """Not reached, or lost."""
        self._finish(FAILED, loss.reason)

    def interrupted(self) -> None:
        """SIGINT or SIGTERM."""
        self._finish(FAILED, "interrupted")
