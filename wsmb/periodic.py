"""What is to be done again and again while the broker runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

_log = Logger()


class Periodic:
    """Calls, each at its own interval, until `stop`. One that fails is called again all the same: what goes
    by time is not to stop for the sake of one connection."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._loops: list[LoopingCall] = []

    def repeat(self, call: Callable[[], object], interval_s: float) -> None:
        """Call `call` every `interval_s` seconds, for the first time after so long."""

        def guarded() -> None:
            try:
                call()
            except Exception:
                _log.failure("a periodic task failed")

        loop = LoopingCall(guarded)
        loop.clock = self._reactor
        loop.start(interval_s, now=False)
        self._loops.append(loop)

    def stop(self) -> None:
        """Call none of them any more."""
        for loop in self._loops:
            loop.stop()
        self._loops.clear()
