"""What a confirm costs (`make bench-kept`): items that are on the disk before their sender is told so.

A sender that does not wait for each confirm, one that does, and between them an fdatasync of one page in
the broker's own folder: nothing can be confirmed faster, one at a time, than the disk answers. SQLite,
items of 64 bytes, nobody receives; the broker on one core and the load on another. Fails if less than
WANTED_PER_S are confirmed a second.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.servers import LOAD_CORE, Server, wsmb_running
from wsmb.bench.connections import connected
from wsmb.bench.dialect import WsmbDialect
from wsmb.bench.load import Load
from wsmb.bench.marks import LEAST_BODY_BYTES
from wsmb.bench.opening import place
from wsmb.bench.results import percentile
from wsmb.bench.rounds import OneRound

WANTED_PER_S = 30_000
ROUNDS = 5
SECONDS = 3.0
ITEM_BYTES = 64
WINDOW = 2_048
SYNCS = 300
PAGE = b"x" * 4_096
TIMEOUT_S = 30.0
CHANNEL = "kept"

Figures = dict[str, float]


def sync_s(folder: Path) -> list[float]:
    """What it takes to put one page at the end of a file, and to know that it is on the disk."""
    took: list[float] = []
    descriptor = os.open(folder / "sync", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for _ in range(SYNCS):
            began = time.perf_counter()
            os.write(descriptor, PAGE)
            os.fdatasync(descriptor)
            took.append(time.perf_counter() - began)
    finally:
        os.close(descriptor)
    return sorted(took)


def confirmed(server: Server, window: int) -> Figures:
    """The figures of one sender with so many messages that are not confirmed."""
    dialect = WsmbDialect(confirm=True)
    # The item is a string, and its quotes count; the rest of the message comes on top.
    around = 1_000 - dialect.body_bytes(f"{CHANNEL}.xxx.0", 1_000)
    size = around + LEAST_BODY_BYTES + ITEM_BYTES - 2
    load = Load(receivers=0, size=size, seconds=SECONDS, window=window, timeout_s=TIMEOUT_S, confirm=True)
    with connected(load, dialect, place(server.target, dialect, TIMEOUT_S), CHANNEL) as connections:
        return OneRound(load, connections).carry_out().figures()


def one_round(folder: Path, server: Server) -> Figures:
    """The disk, pipelined, one at a time, the disk again."""
    before = sync_s(folder)
    pipelined = confirmed(server, WINDOW)
    single = confirmed(server, 1)
    syncs = sorted(before + sync_s(folder))
    if pipelined["lost"] or single["lost"]:
        raise RuntimeError("confirms are missing")
    return {
        "pipelined, confirmed a second": pipelined["deliveries_per_s"],
        "pipelined, p50 in ms": pipelined["p50_us"] / 1_000,
        "pipelined, p99 in ms": pipelined["p99_us"] / 1_000,
        "one at a time, confirmed a second": single["deliveries_per_s"],
        "one at a time, p50 in µs": single["p50_us"],
        "one at a time, p99 in µs": single["p99_us"],
        "fdatasync of 4 KB, p50 in µs": 1e6 * percentile(syncs, 50),
        "fdatasync of 4 KB, p99 in µs": 1e6 * percentile(syncs, 99),
        "one at a time / fdatasync, p50": single["p50_us"] / (1e6 * percentile(syncs, 50)),
    }


def main() -> int:
    """Measure, and print the table."""
    # Not in /tmp, which may be memory: the database is to be on a disk.
    with (
        TemporaryDirectory(prefix=".bench-kept-", dir=".") as name,
        wsmb_running(Path(name).absolute(), "sqlite:///kept.sqlite3", "true") as (server, broker),
    ):
        os.sched_setaffinity(0, {LOAD_CORE})
        rounds = [one_round(broker.folder, server) for _ in range(ROUNDS)]
    print(f"| kept in SQLite, items of {ITEM_BYTES} bytes | median of {ROUNDS} | least | most |")
    print("| --- | --- | --- | --- |")
    for figure in rounds[0]:
        values = [one[figure] for one in rounds]
        print("| " + " | ".join((figure, *map(_short, (median(values), min(values), max(values))))) + " |")
    found = median(one["pipelined, confirmed a second"] for one in rounds)
    print(
        f"\nwanted: {WANTED_PER_S:,} confirmed a second; {'reached' if found >= WANTED_PER_S else 'MISSED'}"
    )
    return 0 if found >= WANTED_PER_S else 1


def _short(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


if __name__ == "__main__":
    sys.exit(main())
