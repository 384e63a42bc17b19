"""What can be asked over HTTP, and who answers it. The contract is openapi.json, beside this file."""

from __future__ import annotations

from collections.abc import Callable, Set
from functools import partial
from importlib.resources import files
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from wsmb.errors import Code, CommandError, StoreError
from wsmb.events import Events
from wsmb.factory import BrokerFactory
from wsmb.http import page_files
from wsmb.http.admin import Admin
from wsmb.http.call import BadRequestError, Call
from wsmb.http.kernel import unsent_bytes
from wsmb.http.metrics import CONTENT_TYPE, HttpFigures, Lag, Metrics
from wsmb.http.polling import Look, Poll
from wsmb.http.receiving import MOST_BYTES, Round, Rounds
from wsmb.http.request import BoundedRequest
from wsmb.http.routes import CHANNEL, Action, Routes, pattern
from wsmb.http.sending import ARGUMENTS, LONGEST_WAIT_S, Sending
from wsmb.http.site import BoundedSite
from wsmb.http.streams import MOST_BYTES as STREAM_BYTES
from wsmb.http.streams import Stream, Streams, Unsent
from wsmb.http.visitor import Heard, ItemCounts, Visitor
from wsmb.webhooks import Webhooks
from wsmb.wire import delay

DEFAULT_MOST, MOST = 10, 1_000


class _Acks(msgspec.Struct, forbid_unknown_fields=True):
    """`{"ack":["…"],"reject":["…"],"requeue":true,"delay":5}`."""

    ack: list[str] = []
    reject: list[str] = []
    requeue: bool = True
    delay: float = 0.0


_decode_acks = msgspec.json.Decoder(_Acks).decode


class HttpSide:
    """The HTTP side of one broker."""

    def __init__(
        self,
        factory: BrokerFactory,
        reactor: Any,
        events: Events,
        webhooks: Webhooks,
        unsent: Unsent = unsent_bytes,
    ) -> None:
        """`events`, `webhooks`: whose figures it tells."""
        self._factory = factory
        self._broker = factory.broker
        self._reactor = reactor
        self._rounds = Rounds(lambda: factory.settings.max_outstanding_bytes)
        self._polls: dict[Call, Poll] = {}
        self._streams = Streams()
        self._items = ItemCounts()
        self._unsent = unsent
        self._asked: list[Call] = []  # for readiness, while the store is
        self.description = files("wsmb.http").joinpath("openapi.json").read_bytes()
        self.site = BoundedSite(self._answer, factory)
        self._lag = Lag(reactor)
        self._metrics = Metrics(factory, self._lag, self._figures, events, webhooks)
        self.routes: Routes = {
            ("channels", CHANNEL): {
                "POST": Action(self._send, ARGUMENTS),
                "GET": Action(self._receive, ("wait", "max")),
            },
            ("channels", CHANNEL, "events"): {"GET": Action(self._stream)},
            ("acks",): {"POST": Action(self._acknowledge, is_last=True)},
            ("health", "live"): {"GET": Action(self._live, needs_user=False)},
            ("health", "ready"): {"GET": Action(self._ready, needs_user=False)},
            ("metrics",): {"GET": Action(self._measure, is_admin=True)},
            ("openapi.json",): {"GET": Action(self._describe, needs_user=False)},
            **Admin(factory, self._lag.histogram).routes(),
            **page_files.routes(),
        }

    def sweep(self) -> None:
        """To be called every second or so."""
        self._rounds.sweep()
        self._streams.sweep(self._reactor.seconds(), self._unsent, self._factory.settings.ping_timeout_s)

    def withdraw(self, users: Set[str]) -> None:
        """These users are not let in any more."""
        self._rounds.withdraw(users)
        self._streams.withdraw(users)
        self._give_up(users)
        for connection in list(self.site.connections):
            if connection.user in users:
                connection.end()

    def close(self) -> None:
        """The broker stops: nothing more is handed out, and what is not acknowledged is the broker's."""
        self._rounds.withdraw()
        self._streams.withdraw()
        self._give_up()

    def end_all(self, grace_s: float) -> Deferred[None]:
        """Close the connections; see BoundedSite."""
        self._lag.stop()
        return self.site.end_all(grace_s)

    def _give_up(self, users: Set[str] | None = None) -> None:
        for poll in list(self._polls.values()):
            if users is None or poll.user in users:
                poll.give_up()

    def _answer(self, request: BoundedRequest) -> None:
        call = Call(request, self._factory)
        call.carry_out(self._route)

    def _route(self, call: Call) -> None:
        actions = self.routes.get(pattern(call.path()))
        if actions is None:
            call.answer({"error": "Not Found"}, 404)
            return
        method = "GET" if call.method == "HEAD" else call.method
        action = actions.get(method)
        if action is None:
            allowed = [*actions, *(["HEAD"] if "GET" in actions else [])]
            call.answer({"error": "Method Not Allowed"}, 405, allow=", ".join(allowed))
            return
        call.check(action.arguments)
        if action.needs_user:
            call.enter(action.carry_out, is_admin=action.is_admin, is_last=action.is_last)
        else:
            action.carry_out(call)

    def _visitor(self, call: Call, most_bytes: int, heard: Heard) -> Visitor:
        return Visitor(
            self._broker, self._factory.time_stamp, call.user, self._soon, heard, self._items, most_bytes
        )

    def _soon(self, call: Callable[[], None]) -> object:
        return self._reactor.callLater(0, call)

    # For who starts and stops brokers, and for programs that read what they can ask: without a password

    def _describe(self, call: Call) -> None:
        call.write(self.description, "application/json")

    def _live(self, call: Call) -> None:
        call.answer({"status": "ok"})

    def _ready(self, call: Call) -> None:
        """Whether it takes messages, and can keep those that are to be kept."""
        if self._factory.stopping:
            self._tell_ready(call, "stopping")
        elif self._broker.keeps:
            self._asked.append(call)
            if len(self._asked) == 1:
                self._broker.store.check(self._store_checked)
        else:
            self._tell_ready(call, "ok")

    def _store_checked(self, answers: bool) -> None:
        status = "ok" if answers else "the database does not answer"
        if answers and self._broker.store.figures.is_full:
            status = "the database has no room left"
        asked, self._asked = self._asked, []
        for call in asked:
            self._tell_ready(call, status)

    def _tell_ready(self, call: Call, status: str) -> None:
        call.answer({"status": status}, 200 if status == "ok" else 503)

    def _measure(self, call: Call) -> None:
        call.write(self._metrics.text(), CONTENT_TYPE)

    def _figures(self) -> HttpFigures:
        return HttpFigures(
            len(self.site.connections),
            len(self._streams),
            len(self._rounds),
            self._items.sent,
            self._items.received,
            self.site.answered,
        )

    # Sending and receiving

    def _send(self, call: Call) -> None:
        wait_s = call.seconds("wait", 0.0, LONGEST_WAIT_S)
        Sending(call, self._broker, partial(self._visitor, call, 0)).send(
            call.path()[1], wait_s, self._reactor
        )

    def _stream(self, call: Call) -> None:
        _check_get(call)
        make_visitor, channel = partial(self._visitor, call, STREAM_BYTES), call.path()[1]
        stream = Stream(call, make_visitor, channel, self._reactor.seconds)
        self._streams.add(stream, call.header("last-event-id"))

    def _receive(self, call: Call) -> None:
        _check_get(call)
        wait_s = call.seconds("wait", 0.0, LONGEST_WAIT_S)
        most = call.count("max", DEFAULT_MOST, MOST) or 1
        channel = call.path()[1]
        self._rounds.check_room(call.user)
        make_visitor = partial(self._visitor, call, MOST_BYTES)
        poll = Poll(
            call,
            self._rounds,
            lambda told: Round(make_visitor, channel, most, told),
            lambda: self._polls.pop(call, None),
            self._reactor,
        )
        self._polls[call] = poll
        if wait_s:
            poll.wait(wait_s)
        else:
            poll.look(self._look(channel))

    def _look(self, channel: str) -> Look:
        """The store keeps the order: once it has answered, what was asked before has been handed out."""

        def look(looked: Callable[[bool | None], None]) -> None:
            self._broker.store.page(
                channel,
                0,
                1,
                1,
                lambda found: looked(
                    None if isinstance(found, StoreError) else self._broker.is_clear(channel)
                ),
            )

        return look

    def _acknowledge(self, call: Call) -> None:
        if self._broker.is_closed:
            raise CommandError(Code.UNAVAILABLE, "the broker stops")
        try:
            acks = _decode_acks(call.body())
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise BadRequestError('the body is not like {"ack":["…"],"reject":["…"]}') from None
        delay_s = delay(acks.delay)
        unknown = self._rounds.acknowledge(call.user, acks.ack)
        unknown += self._rounds.reject(call.user, acks.reject, requeue=acks.requeue, delay_s=delay_s)
        call.answer({"unknown": unknown}, 404 if unknown else 200)


def _check_get(call: Call) -> None:
    """HEAD would receive what it cannot give."""
    if call.method == "HEAD":
        raise BadRequestError("HEAD is for what gives nothing away")
