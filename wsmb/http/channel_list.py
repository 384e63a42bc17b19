"""`GET /admin/channels`: what goes on on the channels, as far as somebody looks at it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from wsmb.factory import BrokerFactory
from wsmb.http.ages import Ages
from wsmb.http.call import Call
from wsmb.http.portions import Portion
from wsmb.http.speeds import Speeds


class Row(NamedTuple):
    """One channel."""

    name: str
    receivers: int
    senders: int
    waiting_items: int
    waiting_bytes: int


class ChannelList:
    """All channels that somebody receives on, on which something waits, or on which a connection has sent
    that is still there."""

    def __init__(self, factory: BrokerFactory) -> None:
        self._broker = factory.broker
        self._reactor = factory.reactor
        self._speeds = Speeds()
        self._ages = Ages(factory.broker.store, factory.reactor)
        self._orders: dict[str, Callable[[Row], Any]] = {
            "waiting": lambda row: (-row.waiting_items, -row.receivers, row.name),
            "age": lambda row: (-self._most_age(row), row.name),
            "rate": lambda row: (-(self._speeds.of(row.name) or 0.0), row.name),
            "senders": lambda row: (-row.senders, -row.receivers, row.name),
            "receivers": lambda row: (-row.receivers, -row.waiting_items, row.name),
            "name": lambda row: row.name,
        }

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._names())

    def answer(self, call: Call) -> None:
        """The rows that are asked for. Raises BadRequestError."""
        portion = Portion(call, self._orders)
        self._look()
        rows = self._rows(call.argument("find"))
        is_by_age = call.argument("sort") == "age"
        shown = () if is_by_age else portion.of(rows)

        def look() -> Sequence[Row]:
            # By age, which they are depends on what has been read so far.
            return portion.of(rows) if is_by_age else shown

        def wanted() -> Sequence[str]:
            unread = self._unread(rows) if is_by_age else ()
            return unread or [row.name for row in look() if row.waiting_items]

        call.over = self._ages.look(wanted, lambda: self._tell(call, rows, look()))

    def _unread(self, rows: Sequence[Row]) -> Sequence[str]:
        """Before they can be sorted, each has to be known, however old what is known."""
        return [row.name for row in rows if row.waiting_items and self._ages.most(row.name) is None]

    def _look(self) -> None:
        broker, now_s = self._broker, self._reactor.seconds()
        self._ages.keep(broker.store.stock.channels)
        if self._speeds.is_due(now_s):
            self._speeds.look(now_s, {name: broker.frames_on(name) for name in self._names()})

    def _names(self) -> set[str]:
        broker = self._broker
        return {*broker.channels, *broker.store.stock.channels, *broker.senders.channels}

    def _rows(self, find: str) -> Sequence[Row]:
        receivers, senders, stock = (
            self._broker.channels.receivers,
            self._broker.senders.of,
            self._broker.store.stock.of,
        )
        return [
            Row(name, receivers(name), senders(name), *stock(name)) for name in self._names() if find in name
        ]

    def _most_age(self, row: Row) -> float:
        """For the order: those that are shown are read again, and stay if they are still as old."""
        return (self._ages.most(row.name) or 0.0) if row.waiting_items else -1.0

    def _tell(self, call: Call, rows: Sequence[Row], shown: Sequence[Row]) -> None:
        call.answer(
            {
                "time_s": self._reactor.seconds(),
                "total": len(rows),
                "channels": [self._told(row) for row in shown],
            }
        )

    def _told(self, row: Row) -> dict[str, Any]:
        speed = self._speeds.of(row.name)
        age_s = self._ages.of(row.name) if row.waiting_items else None
        return {
            "name": row.name,
            "senders": row.senders,
            "receivers": row.receivers,
            "frames": self._broker.frames_on(row.name),
            "frames_per_s": None if speed is None else round(speed, 3),
            "waiting_items": row.waiting_items,
            "waiting_bytes": row.waiting_bytes,
            "oldest_s": None if age_s is None else int(age_s),
        }
