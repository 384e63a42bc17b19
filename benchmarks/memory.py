"""Prints the memory of an idle broker, and of each further idle connection (`make bench-memory`).

Resident set size as Linux gives it (VmRSS, which counts pages of shared libraries in full), of a real
`twistd wsmb` with SQLite that has let one user in.
"""

from __future__ import annotations

import resource
import socket
import tempfile
from pathlib import Path

from tests.integration.broker_process import BrokerProcess
from tests.integration.raw_client import RawClient, command, connect, opening

CONNECTIONS = 1_000
ROUNDS = 3


def enter(broker: BrokerProcess) -> RawClient:
    """A receiver that is in and has its greeting."""
    client = RawClient(connect(broker.port), opening())
    client.send_text(command("receive-message", "idle"))
    client.read_json()
    return client


def measure(broker: BrokerProcess) -> tuple[float, float]:
    """(idle broker in MB, one connection in KB); MB and KB of 1,000."""
    clients = [enter(broker)]
    idle_kib = broker.rss_kb()
    clients += [enter(broker) for _ in range(CONNECTIONS)]
    grown_kib = broker.rss_kb() - idle_kib
    for client in clients:
        client.close()
    return idle_kib * 1.024 / 1_000, grown_kib * 1.024 / CONNECTIONS


def main() -> None:
    """Measure several brokers and print the median of each figure."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4 * CONNECTIONS), most))
    results = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            broker = BrokerProcess(Path(folder), database="sqlite:///kept.sqlite3")
            broker.start()
            try:
                results.append(measure(broker))
            finally:
                broker.kill9()
    for name, unit, figures in zip(
        ("idle broker", "each of 1,000 idle connections"),
        ("MB", "KB"),
        zip(*results, strict=True),
        strict=True,
    ):
        print(f"{name}: {sorted(figures)[ROUNDS // 2]:.1f} {unit} (of {ROUNDS}: {_spread(figures)})")


def _spread(figures: tuple[float, ...]) -> str:
    return " ".join(f"{figure:.1f}" for figure in figures)


if __name__ == "__main__":
    socket.setdefaulttimeout(30)
    main()
