"""What the page costs (`make bench-page`): a broker under load, with and without somebody who looks.

1,000 connections and 1,000 channels; the broker on one core, load and browser on the other. Each pair is
a round with the page open and one without, in turn the one and the other first. Prints the table; with
`--screenshot` makes the picture of the README instead.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Timer

from benchmarks.page.crowd import Crowd, Measured, crowd
from benchmarks.page.screenshot import screenshot
from benchmarks.page.viewers import Browser, Program, Visit, viewer
from benchmarks.servers import LOAD_CORE

LOADS, PAIRS, UPDATES = 5, 18, 50
SECONDS = 2.5
WANTED_LOAD_S, WANTED_EVERY_S, WANTED_COST = 1.0, 1.25, 3.0
"""At most: until the tables are filled; from one update to the next; percent of the throughput. (Medians.)"""


def loaded(there: Crowd, who: Browser | Program) -> Visit:
    """The page is opened while the load is there."""
    opening = Timer(SECONDS / 4, who.open)
    opening.start()
    there.measured(SECONDS)
    opening.join()
    return who.close()


def pair(there: Crowd, who: Browser | Program, visits: list[Visit], number: int) -> tuple[Measured, Measured]:
    """A round with the page open, and one without; in turn the one and the other comes first."""
    found = {}
    for is_open in (True, False) if number % 2 else (False, True):
        if is_open:
            who.open()
            there.round(0.5)
        found[is_open] = there.measured(SECONDS)
        if is_open:
            visits.append(who.close())
    return found[True], found[False]


def update_ms(there: Crowd) -> float:
    """Of the broker's processor, for what the page asks in a second, without load."""
    program = Program(there.http_port)
    cpu_ms = there.cpu_ms()
    for _ in range(UPDATES):
        program.update()
    return (there.cpu_ms() - cpu_ms) / UPDATES


def measure(folder: Path) -> bool:
    """Print the table; whether all is as it should be."""
    with crowd(folder) as there, viewer(folder, there.http_port) as who:
        os.sched_setaffinity(0, {LOAD_CORE})
        there.let_wait(range(2_500))
        updates_ms = [update_ms(there) for _ in range(5)]
        there.round(1.0)
        loads_s = [loaded(there, who).filled_s for _ in range(LOADS)]
        visits: list[Visit] = []
        pairs = [pair(there, who, visits, number) for number in range(PAIRS)]
    every_s = [seconds for visit in visits for seconds in visit.every_s]
    costs = [100 - 100 * seen.messages_per_s / unseen.messages_per_s for seen, unseen in pairs]
    seen, unseen = zip(*pairs, strict=True)
    print(f"| {who.name}, {PAIRS} pairs of {SECONDS:g} s | median | least | most |")
    print("| --- | --- | --- | --- |")
    row("messages a second, page open", [one.messages_per_s for one in seen], 0)
    row("messages a second, nobody looks", [one.messages_per_s for one in unseen], 0)
    row("less with the page open, by pairs, %", costs, 1)
    row("broker's processor for a message, page open, µs", [one.broker_us for one in seen], 2)
    row("broker's processor for a message, nobody looks, µs", [one.broker_us for one in unseen], 2)
    row("broker's processor for an update, without load, ms", updates_ms, 1)
    row("share of its core that the load has used, page open, %", [one.load_percent for one in seen], 0)
    row("until the tables are filled, under load, s", loads_s, 2)
    row("from one update to the next, s", every_s, 2)
    cost, load_s, update_s = median(costs), median(loads_s), median(every_s)
    holds = cost < WANTED_COST and load_s < WANTED_LOAD_S and update_s < WANTED_EVERY_S
    wanted = f"under {WANTED_LOAD_S:g} s, every second, under {WANTED_COST:g} %"
    print(f"\nwanted: {wanted}: {'reached' if holds else 'MISSED'}")
    return holds


def row(name: str, values: Sequence[float], digits: int) -> None:
    """A line of the table."""
    cells = (f"{value:,.{digits}f}" for value in (median(values), min(values), max(values)))
    print(f"| {name} | " + " | ".join(cells) + " |")


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(prog="benchmarks.page", description=__doc__)
    parser.add_argument("--screenshot", type=Path, metavar="FILE", help="only make this picture")
    parser.add_argument("--dark", action="store_true", help="of the dark one")
    parser.add_argument("--width", type=int, default=1000, help="in CSS pixels")
    parser.add_argument("--height", type=int, default=800)
    options = parser.parse_args()
    # Not in /tmp, which may be memory: the database is to be on a disk.
    with TemporaryDirectory(prefix=".bench-page-", dir=".") as name:
        folder = Path(name).absolute()
        if options.screenshot is None:
            return 0 if measure(folder) else 1
        screenshot(folder, options.screenshot, options.width, options.height, is_dark=options.dark)
    return 0


if __name__ == "__main__":
    sys.exit(main())
