"""The scenarios, by name: who is there, and what is done to whom.

Channels whose name begins with "always" (chaos.items.ALWAYS) keep everything (`keep_data = always`), and
their receivers are there all the time, as far as they live. Those that begin with "offline" keep what finds
no receiver (`true`). Where the broker is killed, receivers of these only pay short visits, since what was
just handed to one of them may go with the broker (chaos.check counts that apart); where it is not, they are
there as the others are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A receiver: of which channel, and whether it acknowledges."""

    channel: str
    acknowledges: bool


ACK_1, ACK_2, ACK_OFFLINE = Part("always0", True), Part("always0", True), Part("offline0", True)
PHP_1, PHP_2, PHP_OFFLINE = Part("always1", False), Part("always1", False), Part("offline1", False)


@dataclass(frozen=True)
class Scenario:
    """`faults`: a name in chaos.faults and how often it is done in relation to the others."""

    name: str
    faults: Mapping[str, int]
    database: str = "sqlite"
    receivers: tuple[Part, ...] = (ACK_1, PHP_1)
    visitors: tuple[Part, ...] = (ACK_OFFLINE, PHP_OFFLINE)
    power: bool = False
    """Whether writes that are not synced can be undone."""
    network: bool = False
    """Whether all connections go through a proxy."""

    @property
    def channels(self) -> list[str]:
        """Where senders send to."""
        return sorted({part.channel for part in (*self.receivers, *self.visitors)})


_BROKER = {"kill_broker": 9, "stop_broker": 1, "visit": 1}
_ALL = {
    **_BROKER,
    "kill_ack_receiver": 3,
    "kill_php_receiver": 3,
    "cut_network": 2,
    "stall_network": 2,
    "kill_database": 2,
    "freeze_database": 2,
}

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("broker-sqlite", _BROKER),
        Scenario("broker-mariadb", _BROKER, database="mariadb"),
        Scenario("broker-postgresql", _BROKER, database="postgresql"),
        Scenario("power-sqlite", {"cut_power": 10, "visit": 1}, power=True),
        Scenario(
            "receivers-ack", {"kill_ack_receiver": 1}, receivers=(ACK_1, ACK_2, ACK_OFFLINE), visitors=()
        ),
        Scenario(
            "receivers-php", {"kill_php_receiver": 1}, receivers=(PHP_1, PHP_2, PHP_OFFLINE), visitors=()
        ),
        Scenario("mariadb-killed", {"kill_database": 1}, database="mariadb"),
        Scenario("mariadb-frozen", {"freeze_database": 1}, database="mariadb"),
        Scenario("postgresql-killed", {"kill_database": 1}, database="postgresql"),
        Scenario("postgresql-frozen", {"freeze_database": 1}, database="postgresql"),
        Scenario(
            "network",
            {"cut_network": 1, "stall_network": 1},
            receivers=(ACK_1, PHP_1, ACK_OFFLINE, PHP_OFFLINE),
            visitors=(),
            network=True,
        ),
        Scenario("mixed", _ALL, database="mariadb", receivers=(ACK_1, ACK_2, PHP_1, PHP_2), network=True),
        Scenario("failing-fsync", {"fail_fsync": 1, "fail_fsync_and_cut_power": 1}, power=True),
    )
}
