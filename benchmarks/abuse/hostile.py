"""A well-behaved pair without those of attackers.py, beside them, and beside them once more.

Each round has a new broker, so that no attack before it is in what the pair has without one.

The broker has a core of its own; the pair and the attackers share the other one. So that it is the broker
that is measured, the pair goes before the attackers, and while there is no attack a process that
computes stands in for them: what it costs to share the core is in both. Broker and pair also go before
all else that runs on the machine; that takes root, or CAP_SYS_NICE. Without it the attackers step back
instead, and what else runs is in the figures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.abuse.attackers import BLOCK, FRAGMENTS, PINGS, STAND_IN
from benchmarks.abuse.findings import Findings
from benchmarks.abuse.priority import before_all_else
from benchmarks.servers import LOAD_CORE, SERVER_CORE, allow_many_files, wsmb_running
from tests.integration.broker_process import TIED, BrokerProcess, environment
from wsmb.bench.connections import Connections, connected
from wsmb.bench.load import Load
from wsmb.bench.opening import place
from wsmb.bench.results import percentile
from wsmb.bench.rounds import OneRound

ROUNDS = 4
LOAD = Load(rate=200, seconds=5.0, size=128, timeout_s=600)
SETTLE_S = 2.0
"""From the attack's beginning, or its end, until the pair is measured."""
RECOVERY_LIMIT_S = 10.0
GONE_LIMIT_S = 70.0
"""A flood is read later, for a minute at most: so long an end behind it is not seen."""
IDLE = 0.25
"""Of its core; less is what it takes to read what is left of a flood, little by little."""
MOST_TIMES_P99 = 2.0
MOST_GROWTH_MB = 10.0
"""What the flooders of the first attack have left behind is read during the second one."""


class Phase:
    """What was seen in all rounds: without an attack, or in one."""

    def __init__(self) -> None:
        self.latencies_s: list[float] = []
        self.lost = 0
        self.rss_mb: list[float] = []
        self.cpu: list[float] = []

    def add(self, broker: BrokerProcess, connections: Connections) -> None:
        """Measure the pair once."""
        began_s, ticks = time.monotonic(), broker.cpu_ticks()
        one = OneRound(LOAD, connections).carry_out()
        self.cpu.append((broker.cpu_ticks() - ticks) / (time.monotonic() - began_s))
        self.rss_mb.append(broker.rss_kb() * 1.024 / 1_000)
        self.latencies_s += one.latencies_s
        self.lost += one.lost + one.duplicated

    def us(self, percent: float) -> float:
        """A percentile of all, in microseconds."""
        return 1e6 * percentile(sorted(self.latencies_s), percent)


class Seen:
    """All that was seen."""

    def __init__(self) -> None:
        self.without, self.first, self.second = self.phases = Phase(), Phase(), Phase()
        self.done: Counter[str] = Counter()
        """What the attackers have done."""
        self.recoveries_s: list[float] = []
        self.gone_s = GONE_LIMIT_S
        """When none of their connections was left after the last attack."""


@contextmanager
def beside(argument: str) -> Iterator[subprocess.Popen[str]]:
    """A process of attackers.py on the load's core, once it is ready."""
    with subprocess.Popen(
        [*TIED, sys.executable, "-m", "benchmarks.abuse.attackers", argument],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            if process.stdout is not None:
                process.stdout.readline()
            yield process
        finally:
            process.kill()


def recovery_s(broker: BrokerProcess) -> float:
    """How long the broker goes on working once an attack is over; RECOVERY_LIMIT_S if longer than that."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < RECOVERY_LIMIT_S:
        ticks = broker.cpu_ticks()
        time.sleep(0.5)
        if broker.cpu_ticks() - ticks < IDLE * 50:
            return time.monotonic() - began_s
    return RECOVERY_LIMIT_S


def one_round(seen: Seen, port: int, broker: BrokerProcess, connections: Connections, is_last: bool) -> None:
    """Without, with, with."""
    sockets = broker.sockets()
    with beside(STAND_IN):
        time.sleep(SETTLE_S)
        seen.without.add(broker, connections)
    for phase in (seen.first, seen.second):
        with beside(str(port)) as process:
            time.sleep(SETTLE_S)
            phase.add(broker, connections)
            told, _ = process.communicate(timeout=30)
        seen.done.update(json.loads(told))
        seen.recoveries_s.append(recovery_s(broker))
    began_s = time.monotonic()
    while is_last and broker.sockets() > sockets and time.monotonic() - began_s < GONE_LIMIT_S:
        time.sleep(0.1)
    seen.gone_s = time.monotonic() - began_s


def measure(folder: Path) -> Findings:
    """Rounds of all three, in turn."""
    allow_many_files()
    seen, is_preferred = Seen(), True
    for number in range(ROUNDS):
        own = folder / str(number)
        own.mkdir()
        with wsmb_running(own) as (server, broker):
            os.sched_setaffinity(0, {LOAD_CORE})
            dialect = server.make_dialect()
            with (
                connected(LOAD, dialect, place(server.target, dialect, LOAD.timeout_s)) as connections,
                before_all_else(broker.process_id) as is_preferred,
            ):
                OneRound(LOAD, connections).carry_out()
                one_round(seen, server.target.port, broker, connections, number == ROUNDS - 1)
        os.sched_setaffinity(0, {SERVER_CORE, LOAD_CORE})
    return found(seen, is_preferred)


def found(seen: Seen, is_preferred: bool) -> Findings:
    """What it comes to."""
    findings = Findings(("the pair", "without", "under attack", "once more", "at most times"))
    for percent in (50.0, 99.0, 99.9):
        times = [phase.us(percent) for phase in seen.phases]
        findings.row(f"p{percent:g}, µs", *times, max(times[1:]) / times[0])
    findings.row("lost or twice", *(phase.lost for phase in seen.phases), "")
    findings.row("the broker's core, %", *(median(phase.cpu) for phase in seen.phases), "")
    memory_mb = [max(phase.rss_mb) for phase in seen.phases]
    findings.row("the broker's memory, MB: most", *(f"{one:.1f}" for one in memory_mb), "")
    busy_s = (max(seen.recoveries_s[::2]), max(seen.recoveries_s[1::2]))
    findings.row("the broker is busy for, s: most", "", *busy_s, "")
    findings.row("their last connection is gone after, s", "", "", seen.gone_s, "")
    seconds = seen.done["seconds"]
    for what, size in (("pings", len(PINGS)), ("fragments", len(FRAGMENTS))):
        findings.row(f"{what} a second", "", seen.done[f"{what}: bytes"] * BLOCK / size / seconds, "", "")
    for what in sorted(name for name in seen.done if name.endswith("ended")):
        findings.row(f"{what} a second", "", seen.done[what] / seconds, "", "")
    findings.row("before all else on this machine", *["yes" if is_preferred else "no"] * 3, "")
    times = max(seen.first.us(99), seen.second.us(99)) / seen.without.us(99)
    findings.claim(f"p99 at most {MOST_TIMES_P99:g} times as long", times <= MOST_TIMES_P99)
    findings.claim("nothing is lost, nothing comes twice", not any(phase.lost for phase in seen.phases))
    findings.claim(
        f"memory stays flat: the second attack takes no more than the first, within {MOST_GROWTH_MB:g} MB",
        memory_mb[2] - memory_mb[1] <= MOST_GROWTH_MB,
    )
    findings.claim("once it is over, the broker has little to do", max(seen.recoveries_s) < RECOVERY_LIMIT_S)
    findings.claim(
        f"and within {GONE_LIMIT_S:g} s no connection of theirs is left", seen.gone_s < GONE_LIMIT_S
    )
    return findings
