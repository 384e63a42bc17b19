"""Mutations of tests/corpus in rounds of ten thousand, as `make fuzz` plays them.

A third of each round are opening requests, frames, and commands in frames; each on a connection of its own,
25 at a time, left in five ways. `SEED` in the environment repeats an earlier run.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from benchmarks.abuse.findings import Findings
from benchmarks.servers import LOAD_CORE, SERVER_CORE, on_core
from tests.integration.broker_process import BrokerProcess, poll
from tests.integration.hostile_player import SETTINGS, Player

ROUNDS = 4
MUTATIONS = 10_002
"""A multiple of three."""
MOST_GROWTH_MB = 2.0
"""From the second round to the last: connections that have ended are collected in generations."""


def measure(folder: Path) -> Findings:
    """One round after another against the same broker."""
    seed = os.environ.get("SEED") or str(int(time.time()))
    found = Findings(("round", "requests and frames", "s", "sockets open after", "memory after, MB"))
    broker = BrokerProcess(folder, ini=SETTINGS, database="sqlite:///messages.sqlite3")
    with on_core(SERVER_CORE):
        broker.start()
    try:
        with on_core(LOAD_CORE):
            _rounds(broker, seed, found)
        broker.stop()
        found.claim("it stops as it should, and its log has no traceback and no error", True)
    except AssertionError as error:
        found.claim(f"no traceback, no exit, no wrong answer (SEED={seed}): {error}", False)
    finally:
        broker.kill9()
    return found


def _rounds(broker: BrokerProcess, seed: str, found: Findings) -> None:
    player = Player(broker)
    sockets, memory_mb = broker.sockets(), [_memory_mb(broker)]
    found.row("before", 0, 0, sockets, f"{memory_mb[0]:.1f}")
    for number in range(ROUNDS):
        began = time.monotonic()
        player.play(MUTATIONS, f"{seed} {number}")
        took_s = time.monotonic() - began
        poll(lambda: broker.sockets() <= sockets, "connections to end")
        memory_mb.append(_memory_mb(broker))
        found.row(number + 1, MUTATIONS, took_s, broker.sockets(), f"{memory_mb[-1]:.1f}")
    found.claim("no connection is left open", broker.sockets() <= sockets)
    growth_mb = memory_mb[-1] - memory_mb[2]
    found.claim(
        f"memory grows by {growth_mb:.1f} MB from the second round to the last; at most {MOST_GROWTH_MB:g}",
        growth_mb <= MOST_GROWTH_MB,
    )


def _memory_mb(broker: BrokerProcess) -> float:
    return broker.rss_kb() * 1.024 / 1_000
