"""All that takes part in one run of a scenario: broker, database, network, senders and receivers."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

from chaos.actors import ReceiverActor, SenderActor
from chaos.connection import now_us
from chaos.databases import new_database
from chaos.history import History
from chaos.items import Plan
from chaos.power import Disk
from chaos.proxy import Proxy
from chaos.scenarios import Part, Scenario
from tests.integration.broker_process import BrokerProcess

_INI = """\
[server]
number_of_receiver = 1
keep_data = always
max_deliveries = 0
[channel offline*]
keep_data = true
"""
_RECOVERY_S = 30.0
_QUIET_S = 15.0
_SETTLE_S = 0.3
_FINISH_S = 120.0
_POLL_S = 0.02
_ITEMS = 10
_WINDOW = 64


class StuckError(Exception):
    """Nothing was confirmed for long, though all runs."""


class World:
    """The receivers of `scenario`, and two senders, of which one uses message ids.

    `rate` is how many items a second they send together at most; all files are in `folder`.
    """

    def __init__(
        self, scenario: Scenario, folder: Path, library: Path | None, rate: float, seed: int
    ) -> None:
        self.scenario = scenario
        self.random = random.Random(seed)
        self._folder = folder
        self._rate = rate
        self.disk = Disk(folder, library) if scenario.power and library is not None else None
        self.database = new_database(scenario.database, folder, self.disk)
        self.broker = BrokerProcess(
            folder, ini=_INI + self.database.ini, extra_environment=self.database.environment
        )
        self.proxy = Proxy(self.broker.port) if scenario.network else None
        self.port = self.proxy.port if self.proxy is not None else self.broker.port
        self.senders = [SenderActor(folder, self._plan(number)) for number in (1, 2)]
        self.receivers = self._actors("r", scenario.receivers)
        self.visitors = self._actors("v", scenario.visitors)
        self.history = History(folder)

    def _plan(self, sender: int) -> Plan:
        return Plan(sender, self.scenario.channels, _ITEMS, with_ids=sender == 2)

    def _actors(self, prefix: str, parts: tuple[Part, ...]) -> list[ReceiverActor]:
        return [
            ReceiverActor(self._folder, f"{prefix}{number}", [part.channel], part.acknowledges)
            for number, part in enumerate(parts)
        ]

    def start(self) -> None:
        """Returns when the first item is confirmed."""
        self.broker.start()
        for receiver in self.receivers:
            receiver.start(self.port)
        began_us = now_us()
        for sender in self.senders:
            sender.start(self.port, self._rate / len(self.senders), _WINDOW)
        self.await_confirm(began_us)

    def await_confirm(self, after_us: int) -> None:
        """Returns when something has been confirmed after that time; StuckError if nothing is."""
        deadline_s = time.monotonic() + _RECOVERY_S
        while not self._confirmed_since(after_us):
            if time.monotonic() > deadline_s:
                raise StuckError(f"nothing was confirmed for {_RECOVERY_S:.0f} s")
            time.sleep(_POLL_S)

    def _confirmed_since(self, after_us: int) -> bool:
        self.history.update()
        return any(
            sent.confirms_us and sent.confirms_us[-1] > after_us for sent in self.history.senders.values()
        )

    def written_by_senders(self) -> int:
        """The size of their records in bytes, which grows with each confirm."""
        return sum(path.stat().st_size for path in self._folder.glob("sender-*"))

    def drain(self) -> None:
        """Have all that was sent confirmed, and all that is stored delivered, as far as it is."""
        for sender in self.senders:
            sender.end(signal.SIGTERM, _FINISH_S)
        for receiver in (*self.receivers, *self.visitors):
            receiver.start(self.port)
        came = self._count_deliveries()
        last_s = time.monotonic()
        while (quiet_s := time.monotonic() - last_s) < _QUIET_S:
            if quiet_s > _SETTLE_S and not any(True for _ in self.history.missing()):
                return
            time.sleep(10 * _POLL_S)
            if (now := self._count_deliveries()) != came:
                came, last_s = now, time.monotonic()

    def _count_deliveries(self) -> int:
        self.history.update()
        return sum(len(arrived.numbers) for arrived in self.history.streams.values())

    def stop(self) -> None:
        """End receivers and broker properly. AssertionError if the broker says that something went wrong."""
        for receiver in (*self.receivers, *self.visitors):
            receiver.leave()
        self.broker.stop()

    def close(self) -> None:
        """End all that still runs, at once."""
        for actor in (*self.senders, *self.receivers, *self.visitors):
            actor.end(signal.SIGKILL)
        self.broker.kill9()
        if self.proxy is not None:
            self.proxy.close()
        self.database.close()
        self.history.close()
