"""wsmb beside other brokers in one run, on one core for the server and one for the load (`make bench`).

In each round every load is put on each server in turn, so that what else the machine does meets all of
them. Prints Markdown tables; writes every single figure to a JSON file. What another broker does not get
done is noted; what wsmb does not, makes it fail.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

from benchmarks import tables, wsmb_alone
from benchmarks.cases import CASES, SIZES, TIMEOUT_S, Case, Measured
from benchmarks.servers import LOAD_CORE, SERVER_CORE, Server, all_running, allow_many_files
from wsmb import __version__
from wsmb.bench.connections import connected
from wsmb.bench.opening import BenchError, place
from wsmb.bench.rounds import OneRound

FAILURES = (BenchError, OSError)


class Run:
    """One run: what is wanted of it, and what it has measured."""

    def __init__(self, folder: Path, rounds: int, seconds: float, only: str) -> None:
        self.measured: list[Measured] = []
        self._folder = folder
        self._rounds = rounds
        self._seconds = seconds
        self._only = only
        self._round = 0
        self._began = time.monotonic()

    def carry_out(self, servers: list[Server]) -> None:
        """All rounds."""
        for number in range(1, self._rounds + 1):
            self._round = number
            for case, size in self._wanted():
                for server in servers:
                    self._note(case.name, size, server.name, partial(self._load, server, case, size))
            self._wsmb_alone(servers[0])

    def _wanted(self) -> Iterator[tuple[Case, int]]:
        for case in CASES:
            for size in SIZES:
                if self._only in f"{case.name}, {size}":
                    yield case, size

    def _load(self, server: Server, case: Case, size: int) -> dict[str, float]:
        load = case.load(size, self._seconds)
        dialect = server.make_dialect()
        with connected(load, dialect, place(server.target, dialect, TIMEOUT_S), wsmb_alone.PREFIX) as there:
            return OneRound(load, there).carry_out().figures()

    def _wsmb_alone(self, server: Server) -> None:
        for name, measure in wsmb_alone.LIVE.items():
            if self._only in name:
                self._note(name, 0, server.name, partial(measure, server, self._seconds))
        for name, measure_own in wsmb_alone.OWN.items():
            if self._only in name:
                self._note(name, 0, server.name, partial(measure_own, Path(mkdtemp(dir=self._folder))))

    def _note(self, case: str, size: int, server: str, measure: Callable[[], dict[str, float]]) -> None:
        one: Measured = {"case": case, "size": size, "server": server, "round": self._round}
        try:
            one["figures"] = measure()
        except FAILURES as error:
            one["error"] = str(error)
        self.measured.append(one)
        self._say(one)

    def _say(self, one: Measured) -> None:
        figures = one.get("figures", {})
        shown = {name: figures[name] for name in ("deliveries_per_s", "p50_us", "p99_us") if name in figures}
        text = one.get("error") or ", ".join(
            f"{name} {value:,.4g}" for name, value in (shown or figures).items()
        )
        print(
            f"{time.monotonic() - self._began:4.0f} s  {one['round']}/{self._rounds}  "
            f"{one['case']}, {one['size']}, {one['server']}: {text}",
            file=sys.stderr,
            flush=True,
        )


def machine() -> dict[str, Any]:
    """On what it was measured."""
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "wsmb": __version__,
        "load_average": os.getloadavg()[0],
        "when": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def report(measured: list[Measured], servers: list[str], rounds: int) -> str:
    """The tables and notes, in Markdown."""
    what = (
        f"Medians of {rounds} rounds (least to most); bold: wsmb in relation to it. For deliveries more is"
        " better, for latencies less."
    )
    parts = [[what], tables.compared(measured, servers), tables.alone(measured), tables.notes(measured)]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def main() -> int:
    """Measure, write the JSON file, print the tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.compare", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.2, help="of each load (default 1.2)")
    parser.add_argument("--only", default="", help="what has this in its name, as `1 to 100, 64` has")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    about = machine()
    if SERVER_CORE == LOAD_CORE:
        print(
            "there is only one core: servers and load share it, and the figures are too low", file=sys.stderr
        )
    allow_many_files()
    with TemporaryDirectory(prefix="wsmb-bench-") as folder, all_running(Path(folder)) as servers:
        os.sched_setaffinity(0, {LOAD_CORE})
        run = Run(Path(folder), arguments.rounds, arguments.seconds, arguments.only)
        run.carry_out(servers)
        names = [server.name for server in servers]
    found = {"about": about, "rounds": arguments.rounds, "servers": names, "measured": run.measured}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    print(report(run.measured, names, arguments.rounds))
    return 1 if any("error" in one for one in run.measured if one["server"] == tables.OURS) else 0


if __name__ == "__main__":
    sys.exit(main())
