"""`/admin/…`: what the page for people shows, and the end of a connection.

All of it is gathered when it is asked for, from what is known anyway: it costs messages nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wsmb import __version__
from wsmb.errors import CloseCode
from wsmb.factory import BrokerFactory
from wsmb.figures import Histogram
from wsmb.http.call import Call
from wsmb.http.channel_list import ChannelList
from wsmb.http.portions import ARGUMENTS, Portion
from wsmb.http.routes import CONNECTION, Action, Routes
from wsmb.http.traffic import traffic
from wsmb.protocol import BrokerProtocol

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
        self._channels = ChannelList(factory)

    def routes(self) -> Routes:
        """What can be asked."""
        return {
            ("admin", "overview"): {"GET": Action(self._overview, is_admin=True)},
            ("admin", "channels"): {"GET": Action(self._channels.answer, ARGUMENTS, is_admin=True)},
            ("admin", "connections"): {"GET": Action(self._connections, ARGUMENTS, is_admin=True)},
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
                "channels": self._channels.count,
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

    def _connections(self, call: Call) -> None:
        portion = Portion(call, CONNECTION_ORDERS)
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
            for one in portion.of(found)
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


def _histogram(histogram: Histogram) -> dict[str, Any]:
    return {"bounds_s": histogram.bounds, "counts": histogram.counts, "sum_s": histogram.sum}
