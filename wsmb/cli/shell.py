"""Runs a shell command line, any number of times at once: standard input, time limit, exit status.

Not Twisted's spawnProcess: that forks the whole interpreter, and reaps only where Twisted has installed its
own signal handlers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from typing import IO, Any

TERM_S = 5.0
"""How long a command that is too late has between SIGTERM and SIGKILL."""


class Running:
    """A command that runs, in a process group of its own: Ctrl-C in a terminal does not reach it."""

    def __init__(self, process: subprocess.Popen[bytes], ended: Callable[[int, bool], None]) -> None:
        self.process = process
        self.ended = ended
        self.timer: Any = None
        self.is_late = False

    def kill(self, number: signal.Signals) -> None:
        """Signal its process group. Not once it has been waited for: its number may be another's then."""
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):  # it is gone; macOS says EPERM of a group of zombies
            return

    def poll(self) -> int | None:
        """Its exit status, if it has ended; that of a signal is negative."""
        if self.is_late and os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            self.kill(signal.SIGKILL)  # what it leaves behind
        return self.process.poll()


class Shell:
    """Runs `command` by /bin/sh with `environ` and what each call adds, for `timeout_s` at most."""

    def __init__(self, command: str, environ: Mapping[bytes, bytes], reactor: Any, timeout_s: float) -> None:
        self._command = command
        self._environ = environ
        self._reactor = reactor
        self._timeout_s = timeout_s
        self._running: set[Running] = set()

    def watch(self) -> None:
        """From now on the end of a command is heard of."""
        signal.signal(signal.SIGCHLD, lambda *_: self._reactor.callFromThread(self.reap))

    def __len__(self) -> int:
        return len(self._running)

    def start(self, environ: Mapping[bytes, bytes], stdin: bytes, ended: Callable[[int, bool], None]) -> None:
        """Run it. `ended` gets its exit status, and whether it was ended for being late. Raises OSError.

        Standard input is a file, not a pipe: a command may leave it unread, and nothing can block.
        """
        with _file(stdin) as file:
            try:
                process = subprocess.Popen(  # noqa: S603 (the user's own command line, as it stands)
                    ["/bin/sh", "-c", self._command],
                    stdin=file,
                    env={**self._environ, **environ},
                    start_new_session=True,
                )
            except ValueError as error:  # a NUL in the environment
                raise OSError(str(error)) from None
        running = Running(process, ended)
        self._running.add(running)
        running.timer = self._reactor.callLater(self._timeout_s, self._late, running)

    def reap(self) -> None:
        """Tell of those that have ended."""
        for running in list(self._running):
            status = running.poll()
            if status is not None:
                self._running.discard(running)
                if running.timer.active():
                    running.timer.cancel()
                running.ended(status, running.is_late)

    def kill(self) -> None:
        """End all that run at once. Nobody is told."""
        for running in self._running:
            running.kill(signal.SIGKILL)

    def _late(self, running: Running) -> None:
        running.is_late = True
        running.kill(signal.SIGTERM)
        running.timer = self._reactor.callLater(TERM_S, running.kill, signal.SIGKILL)


def _file(content: bytes) -> IO[bytes]:
    """An open file of no name with `content`, in memory where the system has such."""
    file: IO[bytes]
    if hasattr(os, "memfd_create"):
        file = os.fdopen(os.memfd_create("item"), "w+b")
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
    file.write(content)
    file.seek(0)
    return file
