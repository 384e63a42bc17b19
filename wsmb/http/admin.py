"""`/admin/…`: what the page for people shows, and the end of a connection.

All of it is gathered when it is asked for, from what is known anyway: it costs messages nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import nsmallest
from typing import Any, TypeVar

from wsmb import __version__
from wsmb.errors import CloseCode
from wsmb.factory import BrokerFactory
from wsmb.figures import Histogram
from wsmb.http.call import BadRequestError, Call
from wsmb.http.routes import CONNECTION, Action, Routes
from wsmb.http.traffic import traffic
from wsmb.protocol import BrokerProtocol

DEFAULT_ROWS, MOST_ROWS = 50, 200
MOST_BEFORE = 1_000_000
LISTING = ("find", "max", "sort", "start")
_T = TypeVar("_T")
ChannelRow = tuple[str, int, int, int]
"""Name, receivers, items that wait, their bytes."""
CHANNEL_ORDERS: dict[str, Callable[[ChannelRow], Any]] = {
    "waiting": lambda row: (-row[2], -row[1], row[0]),
    "receivers": lambda row: (-row[1], -row[2], row[0]),
    "name": lambda row: row[0],
}
CONNECTION_ORDERS: dict[str, Callable[[BrokerProtocol], Any]] = {
    "newest": lambda one: -one.number,
    "oldest": lambda one: one.number,
    "outstanding": lambda one: (-one.outstanding, one.number),
    "user": lambda one: (one.user, one.number),
}


class Admin:
    """Answers those who may administer the broker."""

    def __init__(self, factory: BrokerFactory, lag: Histogram) -> None:
        """`lag`: how late timers are."""
        self._factory = factory
        self._broker = factory.broker
        self._lag = lag

    def routes(self) -> Routes:
        """What can be asked."""
        return {
            ("admin", "overview"): {"GET": Action(self._overview, is_admin=True)},
            ("admin", "channels"): {"GET": Action(self._channels, LISTING, is_admin=True)},
            ("admin", "connections"): {"GET": Action(self._connections, LISTING, is_admin=True)},
            ("admin", "connections", CONNECTION, "end"): {"POST": Action(self._end, is_admin=True)},
        }

    def _overview(self, call: Call) -> None:
        factory, broker, store = self._factory, self._broker, self._broker.store
        now = traffic(factory)
        failed, proved = broker.settled
        counts = {name: broker.counts[name] for name in ("redelivered", "dead", "expired", "lost")}
        call.answer(
            {
                "version": __version__,
                "user": call.user,
                "time_s": factory.reactor.seconds(),
                "connections": len(factory.connections),
                "connections_opened": factory.opened_count,
                "channels": broker.channel_count,
                "frames_received": now.frames_in,
                "frames_sent": now.frames_out,
                "proved": proved,
                "failed": failed,
                "outstanding": factory.outstanding,
                "waiting_items": store.stock.items,
                "waiting_bytes": store.stock.bytes,
                "buffer_bytes": broker.intake.bytes + broker.held_bytes + now.queued_bytes,
                **counts,
                "reactor_lag": _histogram(self._lag),
                "transactions": _histogram(store.figures.transactions),
            }
        )

    def _channels(self, call: Call) -> None:
        broker, stock = self._broker, self._broker.store.stock
        names = {*broker.channel_names, *stock.channels}
        find = call.argument("find")
        found = [(name, broker.receivers(name), *stock.of(name)) for name in names if find in name]
        shown = _portion(call, found, CHANNEL_ORDERS)
        rows = [
            {
                "name": name,
                "receivers": receivers,
                "frames": broker.frames_on(name),
                "waiting_items": items,
                "waiting_bytes": size_bytes,
            }
            for name, receivers, items, size_bytes in shown
        ]
        call.answer({"time_s": self._factory.reactor.seconds(), "total": len(found), "channels": rows})

    def _connections(self, call: Call) -> None:
        find = call.argument("find")
        found = [one for one in self._factory.connections if find in one.user or find in str(one.peer)]
        now_s = self._factory.reactor.seconds()
        rows = [
            {
                "id": one.number,
                "user": one.user,
                "peer": one.peer,
                "age_s": round(now_s - one.opened_s, 3),
                "frames_received": one.frames_in,
                "frames_sent": one.outbox.frames_out,
                "outstanding": one.outstanding,
                "queued_bytes": one.outbox.queued_bytes,
            }
            for one in _portion(call, found, CONNECTION_ORDERS)
        ]
        call.answer({"time_s": now_s, "total": len(found), "connections": rows})

    def _end(self, call: Call) -> None:
        number = call.path()[2]
        for one in self._factory.connections:
            if str(one.number) == number:
                one.end(CloseCode.ENDED)
                call.answer({"ended": one.number})
                return
        call.answer({"error": "there is no such connection"}, 404)


def _portion(call: Call, rows: Iterable[_T], orders: dict[str, Callable[[_T], Any]]) -> list[_T]:
    """The rows that are asked for. Raises BadRequestError."""
    sort = call.argument("sort") or next(iter(orders))
    if sort not in orders:
        raise BadRequestError(f"sort is one of {', '.join(orders)}")
    start = call.count("start", 0, MOST_BEFORE)
    most = call.count("max", DEFAULT_ROWS, MOST_ROWS)
    return nsmallest(start + most, rows, key=orders[sort])[start:]


def _histogram(histogram: Histogram) -> dict[str, Any]:
    return {"bounds_s": histogram.bounds, "counts": histogram.counts, "sum_s": histogram.sum}
