"""Kill everything at random moments, and count what was lost. The exit status is 1 if anything went wrong."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from unittest import SkipTest

from chaos.power import can_compile, compile_library
from chaos.report import LEGEND, kinds, table, wrongs
from chaos.run import Limits, Outcome, run
from chaos.scenarios import SCENARIOS, Scenario


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--for", dest="seconds", type=_seconds, help="how long in all, as 60s or 10m (60s)")
    parser.add_argument("--kills", type=int, help="how many faults in each scenario, however long it takes")
    parser.add_argument(
        "--scenario", action="append", choices=sorted(SCENARIOS), help="only this one; can be repeated"
    )
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="of what is random")
    parser.add_argument(
        "--gap", type=float, default=Limits.gap_s, help="the longest time between two faults, s"
    )
    parser.add_argument(
        "--rate", type=float, default=Limits.rate, help="most items that are sent in a second"
    )
    given = parser.parse_args()
    chosen = [scenario for name, scenario in SCENARIOS.items() if name in (given.scenario or SCENARIOS)]
    seconds = given.seconds or (float("inf") if given.kills else 60.0)
    limits = Limits(seconds / len(chosen), given.kills or sys.maxsize, given.gap, given.rate)
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="chaos-library-") as folder:
        outcomes = _run_all(chosen, limits, given.seed, Path(folder))
    print(f"\n{table(outcomes)}\n\n{LEGEND}")
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


def _run_all(chosen: list[Scenario], limits: Limits, seed: int, folder: Path) -> list[Outcome]:
    library = compile_library(folder) if can_compile() else None
    outcomes = []
    for scenario in chosen:
        if scenario.power and library is None:
            print(f"{scenario.name}: skipped, gcc is not installed: power cuts need a C compiler", flush=True)
            continue
        try:
            outcome = run(scenario, limits, seed, library)
        except SkipTest as reason:
            print(f"{scenario.name}: skipped, {reason}", flush=True)
            continue
        outcomes.append(outcome)
        print(f"{scenario.name}: {outcome.verdict.confirmed:,} confirmed; {kinds(outcome)}", flush=True)
        if text := wrongs(outcome):
            print(text, flush=True)
    return outcomes


def _seconds(text: str) -> float:
    """`90`, `90s`, `5m`."""
    unit = {"s": 1.0, "m": 60.0}.get(text[-1:])
    return float(text[:-1]) * unit if unit else float(text)


if __name__ == "__main__":
    sys.exit(main())
