"""One command's run of the reactor: from its first connection to its exit status."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogBeginner
from zope.interface import implementer

from wsmb.cli.arguments import FAILED
from wsmb.client.core import Conversation
from wsmb.client.target import Target
from wsmb.client.twisted import Client


class Console:
    """Where a command says what is not data, and how it ends. Only the first `finish` counts."""

    def __init__(self, name: str, stderr: TextIO, ended: Callable[[], None]) -> None:
        self.status: int | None = None
        self._name = name
        self._stderr = stderr
        self._ended = ended

    def say(self, line: str) -> None:
        """One line on standard error; what happens on the way out is nobody's concern."""
        if self.status is None:
            print(f"wsmb {self._name}: {' '.join(line.split())}", file=self._stderr, flush=True)

    def finish(self, status: int, line: str = "") -> None:
        """End with this exit status, and this last line."""
        if self.status is None:
            if line:
                self.say(line)
            self.status = status
            self._ended()


class Command(Conversation, Protocol):
    """A conversation that a command holds with the broker."""

    def start(self) -> None:
        """The reactor runs."""

    def interrupted(self) -> None:
        """SIGINT or SIGTERM has come. Called between two events, never within one."""


def run(
    name: str,
    target: Target,
    make: Callable[[Console, Any], Command],
    on_signal: Callable[[], None] | None = None,
) -> int:
    """Run the command that `make` makes of a console and the reactor, until it has finished.

    `on_signal` is called within the signal's handler, so that it can break off what blocks.
    """
    from twisted.internet import reactor as installed  # noqa: PLC0415 (importing it installs it)

    reactor: Any = installed
    reactor.seconds = time.monotonic  # its timers would stop with the wall clock
    console = Console(name, sys.stderr, lambda: reactor.callLater(0, stop))
    bugs: Any = _Bugs(console)  # the interfaces of zope are no types
    globalLogBeginner.beginLoggingTo([bugs], redirectStandardIO=False, discardBuffer=True)
    command = make(console, reactor)
    client = Client(target, command, reactor)

    def stop() -> None:
        client.stop().addBoth(lambda _: reactor.stop())

    def signalled(*_: object) -> None:
        reactor.callFromThread(command.interrupted)
        if on_signal is not None:
            on_signal()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signalled)
    reactor.callWhenRunning(command.start)
    reactor.callWhenRunning(client.start)
    reactor.run(installSignalHandlers=False)
    return FAILED if console.status is None else console.status


@implementer(ILogObserver)
class _Bugs:
    """Of all that is logged in a short-lived process, what must not happen is worth a line."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_level") is LogLevel.critical:
            failure = event.get("log_failure")
            cause = "" if failure is None else f": {failure.type.__name__}"
            self._console.say(f"internal error{cause}")
