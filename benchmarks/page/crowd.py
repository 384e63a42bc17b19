"""A broker with 1,000 connections and 1,000 channels, and the load on them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.abuse.priority import before_all_else
from benchmarks.servers import SERVER_CORE, allow_many_files, on_core
from tests.integration.broker_process import PASSWORD, USER, BrokerProcess, free_port
from wsmb.bench.connections import Connections, connected
from wsmb.bench.dialect import WsmbDialect
from wsmb.bench.load import Load
from wsmb.bench.marks import body
from wsmb.bench.opening import close_all, open_connections, place
from wsmb.bench.results import Round
from wsmb.bench.rounds import OneRound
from wsmb.client.target import Target

RECEIVERS, SENDERS, KEEPERS = 900, 90, 10
"""1,000 connections: a receiver for each of 900 channels, senders that go round ten of them each, and senders
to the others."""
WAITING = 100
"""Further channels: nobody receives there, and what is sent waits in SQLite."""
WINDOW = 16
"""Messages of a sender that have not arrived: 1,440 of all, which keeps the broker busy all the time."""
SIZE = 128
TIMEOUT_S = 100.0
_KEPT = "mail"
_INI = f"[http]\nlisten = tcp:{{port}}:interface=127.0.0.1\n[channel {_KEPT}.*]\nkeep_data = true\n"


@dataclass(frozen=True, slots=True)
class Measured:
    """One round."""

    messages_per_s: float
    broker_us: float
    """Of the broker's processor, for each message."""
    load_percent: float
    """Of its core that the load generator has used."""


class Crowd:
    """The connections, and the broker that they are connected to."""

    def __init__(
        self,
        broker: BrokerProcess,
        http_port: int,
        connections: Connections,
        dialect: WsmbDialect,
        keepers: Sequence[socket.socket],
    ) -> None:
        self.http_port = http_port
        self._broker = broker
        self._connections = connections
        self._dialect = dialect
        self._keepers = keepers
        for keeper in keepers:
            keeper.settimeout(TIMEOUT_S)

    def round(self, seconds: float, rate: float | None = None) -> Round:
        """As much as goes through, or so many messages a second. Raises BenchError."""
        return OneRound(replace(_LOAD, seconds=seconds, rate=rate), self._connections).carry_out()

    def cpu_ms(self) -> float:
        """Of the broker's processor, so far."""
        return 10.0 * self._broker.cpu_ticks()

    def measured(self, seconds: float) -> Measured:
        """As much as goes through."""
        cpu_ms = self.cpu_ms()
        done = self.round(seconds)
        cpu_ms = self.cpu_ms() - cpu_ms
        if done.lost or done.duplicated:
            raise RuntimeError(f"{done.lost} messages were lost, {done.duplicated} came twice")
        return Measured(
            done.messages / done.elapsed_s, 1e3 * cpu_ms / done.messages, 100 * done.cpu_s / done.elapsed_s
        )

    def let_wait(self, numbers: Iterable[int], most: int = WAITING) -> None:
        """Send an item for each of `numbers`, to one of the first `most` channels that nobody receives on."""
        for number in numbers:
            channel = number * 7_919 % 1_009 % most
            frame = self._dialect.publish(f"{_KEPT}.{channel:03}", body(100))
            self._keepers[channel % KEEPERS].sendall(frame)
        for keeper in self._keepers:
            keeper.sendall(self._dialect.ping)
            while self._dialect.answer not in keeper.recv(65_536):
                pass


_LOAD = Load(SENDERS, RECEIVERS, RECEIVERS, SIZE, seconds=1.0, window=WINDOW, timeout_s=TIMEOUT_S)


@contextmanager
def crowd(folder: Path) -> Iterator[Crowd]:
    """All of it, on SERVER_CORE; it ends in the end."""
    allow_many_files()
    port = free_port()
    broker = BrokerProcess(
        folder, ini=_INI.format(port=port), database="sqlite:///page.sqlite3", keep_data="false"
    )
    with on_core(SERVER_CORE):
        broker.start()
    try:
        target = Target(False, "127.0.0.1", broker.port, "/", USER, PASSWORD)
        dialect = WsmbDialect()
        there = place(target, dialect, TIMEOUT_S)
        with connected(_LOAD, dialect, there, "orders") as connections, ExitStack() as priority:
            keepers = open_connections(there, [b""] * KEEPERS)
            threads = os.listdir(f"/proc/{broker.process_id}/task")
            allowed = [priority.enter_context(before_all_else(int(thread))) for thread in threads]
            if all(allowed):
                # Before the browser, which is on the same core and is not to hold up the load.
                os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(2))
            yield Crowd(broker, port, connections, dialect, keepers)
            close_all(keepers)
    finally:
        broker.kill9()
