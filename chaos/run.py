"""One scenario, from its start to its verdict."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chaos.actors import ActorError
from chaos.check import Fault, Verdict, check
from chaos.faults import FAULTS
from chaos.scenarios import Scenario
from chaos.world import StuckError, World

_IN_QUICK_SUCCESSION = 0.15
_BROKEN = (ActorError, AssertionError, StuckError, TimeoutError, RuntimeError, subprocess.SubprocessError)


@dataclass(frozen=True)
class Limits:
    """How long faults are done: for so many seconds, or until there were so many (whichever comes first)."""

    seconds: float
    faults: int
    gap_s: float = 0.8
    """The longest time between two."""
    rate: float = 8_000
    """How many items a second are sent at most."""


@dataclass
class Outcome:
    """What came of a scenario. `broken` says what kept it from its end, or what else was wrong."""

    scenario: Scenario
    verdict: Verdict
    faults: Counter[str]
    seconds: float
    broken: str = ""
    folder: Path | None = None
    """Where its files are, if anything was wrong."""

    @property
    def is_good(self) -> bool:
        """Whether nothing was wrong."""
        return not self.verdict.wrong and not self.broken


def run(scenario: Scenario, limits: Limits, seed: int, library: Path | None) -> Outcome:
    """Carry a scenario out. Its files are removed if nothing was wrong."""
    began_s = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{scenario.name}-"))
    faults: list[Fault] = []
    world = World(scenario, folder, library, limits.rate, seed)
    broken = ""
    try:
        try:
            world.start()
            for fault in _inflict(world, limits):
                faults.append(fault)
            broken = _end(world)
        except _BROKEN as error:
            broken = f"{type(error).__name__}: {str(error)[-2000:]}"
        world.history.update()
        verdict = check(world.history, faults)
    finally:
        world.close()
    outcome = Outcome(scenario, verdict, Counter(fault.what for fault in faults), 0, broken)
    if outcome.is_good:
        shutil.rmtree(folder)
    else:
        outcome.folder = folder
    outcome.seconds = time.monotonic() - began_s
    return outcome


def _inflict(world: World, limits: Limits) -> Iterator[Fault]:
    """Do one thing after the other; mostly something is confirmed in between."""
    names, weights = zip(*world.scenario.faults.items(), strict=True)
    deadline_s = time.monotonic() + limits.seconds
    done = 0
    while done < limits.faults and time.monotonic() < deadline_s:
        time.sleep(world.random.uniform(0, limits.gap_s))
        (name,) = world.random.choices(names, weights)
        fault = FAULTS[name](world)
        if fault is None:
            continue
        done += 1
        yield fault
        if world.random.random() > _IN_QUICK_SUCCESSION:
            world.await_confirm(fault.mended_us or fault.began_us)


def _end(world: World) -> str:
    """Drain and stop; what was wrong beside the items."""
    world.drain()
    world.stop()
    left = world.database.rows()
    return f"{left} rows are left in the table after all was delivered" if left else ""
