"""The processes of senders and receivers, as seen from the one that starts and kills them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from chaos.connection import now_us
from chaos.items import Plan
from tests.integration.broker_process import LIMIT_S, TIED, environment

_DOOM_S = 1.0


class ActorError(Exception):
    """A sender or a receiver ended by itself, or did not end; the text says which, and what it said."""


class _Actor:
    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self.name = name
        self._process: subprocess.Popen[bytes] | None = None

    def _start(self, module: str, *arguments: object) -> None:
        with (self._folder / f"{self.name}.stderr").open("ab") as words:
            self._process = subprocess.Popen(
                [*TIED, sys.executable, "-m", module, *map(str, arguments)],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stderr=words,
            )

    def end(self, how: signal.Signals, timeout_s: float = LIMIT_S) -> None:
        """Returns once it is gone; ActorError if it does not go, or not well."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise ActorError(f"{self.name} did not end") from None
        # A process that has just been started dies of any signal.
        if status not in {0, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGUSR1}:
            words = (self._folder / f"{self.name}.stderr").read_text()
            raise ActorError(f"{self.name} ended with status {status}: {words}")


class SenderActor(_Actor):
    """A sender; see chaos.sender."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        super().__init__(folder, f"s{plan.sender}")
        self._plan = plan

    def start(self, port: int, rate: float, window: int) -> None:
        """Start the process."""
        plan = self._plan
        self._start(
            "chaos.sender",
            f"--port={port}",
            f"--record={self._folder / f'sender-{plan.sender}'}",
            f"--number={plan.sender}",
            f"--channels={','.join(plan.channels)}",
            f"--items={plan.items}",
            f"--rate={rate}",
            f"--window={window}",
            *(["--ids"] if plan.with_ids else []),
        )


class ReceiverActor(_Actor):
    """A receiver, which can be started any number of times; see chaos.receiver."""

    def __init__(self, folder: Path, name: str, channels: Sequence[str], acknowledges: bool) -> None:
        super().__init__(folder, name)
        self.channels = channels
        self.acknowledges = acknowledges
        self._starts = 0

    @property
    def _record(self) -> Path:
        return self._folder / f"receiver-{self.name}-{self._starts:05}"

    def start(self, port: int) -> None:
        """Start a process, if there is none."""
        if self._process is not None:
            return
        self._starts += 1
        self._start(
            "chaos.receiver",
            f"--port={port}",
            f"--record={self._record}",
            f"--channels={','.join(self.channels)}",
            *(["--ack"] if self.acknowledges else []),
        )

    def leave(self) -> None:
        """End it properly."""
        self.end(signal.SIGTERM)

    def kill(self) -> None:
        """As a crash would."""
        if self._process is not None:
            self.end(signal.SIGKILL)
            self._note_end()

    def kill_at_bad_moment(self) -> None:
        """Have it kill itself when the next frames come. If none come, it is killed all the same."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGUSR1)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_DOOM_S)
        self.kill()

    def _note_end(self) -> None:
        """The connection's end, which the process could not write. Its last line may be half a line."""
        with self._record.open("ab") as record:
            record.write(b"\nX %d\n" % now_us())
