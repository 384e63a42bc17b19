"""Makes the connections, and looks after them as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence, Set
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsmb.addresses import Networks
from wsmb.broker import Broker
from wsmb.door import Door
from wsmb.errors import CloseCode
from wsmb.guard import Guard
from wsmb.interfaces import PasswordChecker
from wsmb.outbox import Flusher
from wsmb.pausing import PausingProtocol
from wsmb.protocol import WITHDRAWN_GRACE_S, BrokerProtocol
from wsmb.rates import UserRates
from wsmb.session import Session
from wsmb.settings import Settings
from wsmb.throttle import Throttle
from wsmb.topic_session import TopicSession

CLOSE_TIMEOUT_S = 3
END_TIMEOUT_S = 10.0
LONGEST_INTERVAL_S = 0.01
MOST_SHOWN = 10
SLICES, SLICE_S = 100, 0.001
"""A tenth of a second in so many parts: those who flood us go on one after another, and not all at once,
which others would notice."""

_log = Logger()


class BrokerFactory(WebSocketServerFactory):
    """Makes the connections, and looks after those that have fallen silent."""

    protocol = BrokerProtocol  # type: ignore[assignment]  # Twisted wants a protocol of any factory
    noisy = False

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        checker: PasswordChecker,
        reactor: Any,
        time_stamp: Callable[[], str],
    ) -> None:
        super().__init__(server="wsmb", reactor=reactor)
        self.settings = settings
        self.broker = broker
        self.guard = Guard(checker, Throttle(settings.limits), reactor.seconds)
        self.door = Door(settings.limits)
        self.trusted_proxies = Networks(settings.trusted_proxies)
        self.time_stamp = time_stamp
        self.flusher = Flusher(reactor)
        self.connections: set[BrokerProtocol] = set()
        self.rates = UserRates(settings.limits)
        self.waiting: dict[PausingProtocol, None] = {}
        """Those that are not read on, since too much has come from them; who waits longest goes first."""
        self.stopping = False
        self.refusals: Counter[str] = Counter()
        """Requests that were not let in, by status or reason."""
        self._refusals_taken: Counter[str] = Counter()
        self.opened_count = self.frames_in_before = self.frames_out_before = 0
        """Connections that were opened, and the frames of those that have ended."""
        self._ended: Deferred[None] | None = None
        self.setProtocolOptions(
            versions=[13],
            webStatus=False,
            utf8validateIncoming=True,
            requireMaskedClientFrames=True,
            maxFramePayloadSize=settings.max_frame_bytes,
            maxMessagePayloadSize=settings.max_frame_bytes,
            failByDrop=False,
            openHandshakeTimeout=settings.handshake_timeout_s,
            closeHandshakeTimeout=CLOSE_TIMEOUT_S,
            autoPingInterval=0,
            serveFlashSocketPolicy=False,
            # Origins are checked in wsmb.handshake: Autobahn answers 400, and its list has wildcards.
            allowedOrigins=["*"],
            allowNullOrigin=True,
        )

    def turns_away(self) -> bool:
        """Whether a new connection is to be closed at once, while others are being accepted."""
        if self.door.is_overrun:
            self.refused(503)
        return self.door.is_overrun

    def buildProtocol(self, addr: Any) -> Any:
        """Twisted's way to a new connection; None if there is no room even for an answer."""
        return None if self.turns_away() else super().buildProtocol(addr)

    def use_settings(self, settings: Settings) -> None:
        """From now on these count; those of a single connection for those that are made from now on."""
        if settings.limits != self.settings.limits:
            self.rates.use(settings.limits)
        self.settings = settings
        self.door.use(settings.limits)
        self.guard.throttle.use(settings.limits)
        self.setProtocolOptions(
            maxFramePayloadSize=settings.max_frame_bytes,
            maxMessagePayloadSize=settings.max_frame_bytes,
            openHandshakeTimeout=settings.handshake_timeout_s,
        )

    def withdraw(self, users: Set[str]) -> None:
        """End the connections of users who have been removed, or have another password."""
        ended = [connection for connection in self.connections if connection.user in users]
        for connection in ended:
            try:
                connection.withdraw()
            except Exception:
                # The others are not to stay for the sake of this one.
                _log.failure("a connection could not be ended")
                connection.transport.abortConnection()
        shown = sorted(users)[:MOST_SHOWN]
        _log.info(
            "removed, or with another password: {users}; {count} of their connections are ended",
            users=", ".join(shown) + (", ..." if len(users) > len(shown) else ""),
            count=len(ended),
        )

    def opened(self, connection: BrokerProtocol) -> None:
        """A user has come in."""
        connection.opened_s = self.reactor.seconds()
        self.connections.add(connection)
        self.opened_count += 1
        connection.number = self.opened_count
        _log.info("{user} connected from {peer}", user=connection.user, peer=connection.peer)

    def closed(
        self,
        connection: BrokerProtocol,
        session: Session | TopicSession,
        code: int | None,
        unproved: int,
    ) -> None:
        """A user has left, and has not proved `unproved` of the frames that it was sent."""
        self.connections.discard(connection)
        self.frames_in_before += session.frames_in
        self.frames_out_before += connection.outbox.frames_out
        _log.info(
            "{user} at {peer} left ({code}) after {seconds} s: {frames_in} frames in, {refused} refused, "
            "{frames_out} out, {unproved} of them unproved",
            user=connection.user,
            peer=connection.peer,
            code=code,
            seconds=round(self.reactor.seconds() - connection.opened_s, 3),
            frames_in=session.frames_in,
            refused=session.answers.refused,
            frames_out=connection.outbox.frames_out,
            unproved=unproved,
        )
        self._tell_if_ended()

    def refused(self, why: int | str) -> None:
        """A request was answered with this HTTP status, or did not come to be one.

        They are counted, not told one by one.
        """
        self.refusals[str(why)] += 1

    def sweep(self, now_s: float) -> None:
        """Ping who has been silent for long, end who does not answer. To be called every second or so."""
        for connection in list(self.connections):
            if connection.shows_life():
                connection.quiet_since_s = now_s
                # Whether those since the last sweep went before it or after it, nobody knows.
                connection.pings_then = connection.pings_seen
                connection.is_pinged = False
            else:
                self._silent(connection, now_s, now_s - connection.quiet_since_s)
            connection.pings_seen = connection.pings
            if connection.message_takes_s(now_s) > self.settings.limits.max_message_seconds:
                connection.end_now(CloseCode.TOO_LONG)
            if connection.is_flooding(now_s):
                # It is not read, so an answer to a Close frame would not be seen.
                connection.end_by_s = min(connection.end_by_s, now_s + WITHDRAWN_GRACE_S)
                connection.end_now(CloseCode.FLOODING)
            if now_s >= connection.end_by_s:
                connection.transport.abortConnection()
        self.rates.forget_full(now_s)

    def let_go_on(self, now_s: float) -> None:
        """Read on from those of whom not too much has come lately. To be called ten times a second."""
        waiting = tuple(self.waiting)
        self._let_go_on(waiting[::SLICES], now_s)
        for number in range(1, min(len(waiting), SLICES)):
            self.reactor.callLater(
                SLICE_S * number, self._let_go_on, waiting[number::SLICES], now_s + SLICE_S * number
            )

    def _let_go_on(self, connections: Sequence[PausingProtocol], now_s: float) -> None:
        for connection in connections:
            if connection in self.waiting:
                connection.go_on(now_s)

    def _silent(self, connection: BrokerProtocol, now_s: float, silence_s: float) -> None:
        settings = self.settings
        if connection.is_closing:
            # Autobahn has no timer for a peer that does not take what is still queued for it.
            if silence_s >= END_TIMEOUT_S:
                connection.transport.abortConnection()
        elif not connection.is_pinged and connection.pings > connection.pings_then and connection.awaits_pong:
            connection.is_pinged = True
            connection.quiet_since_s = now_s
        elif connection.is_pinged:
            if silence_s >= settings.ping_timeout_s:
                _log.info("{user} at {peer} is silent: ended", user=connection.user, peer=connection.peer)
                connection.dropConnection(abort=True)
        elif settings.ping_interval_s and silence_s >= settings.ping_interval_s:
            connection.ping()
            connection.is_pinged = True
            connection.quiet_since_s = now_s

    def report_refusals(self) -> None:
        """Log what was refused since the last report, and who failed to log in, if anything.

        To be called every minute.
        """
        self.guard.report()
        counts = self.take_refusals()
        if counts:
            _log.warn("requests refused in the last minute: {counts}", counts=counts)
        forbidden = self.broker.forbidden.take()
        if forbidden:
            _log.warn("forbidden by the access list in the last minute: {forbidden}", forbidden=forbidden)

    def take_refusals(self) -> str:
        """How many requests were refused since the last call: `3 with 401, 1 with 431`."""
        refusals = self.refusals - self._refusals_taken
        self._refusals_taken = self.refusals.copy()
        return ", ".join(f"{count} with {why}" for why, count in sorted(refusals.items()))

    def stop_taking(self) -> None:
        """The broker stops: take nothing new, let nobody in, and ask for proof of what was sent."""
        self.stopping = True
        self.broker.is_stopping = True
        for connection in self.connections:
            if connection.session is not None:
                connection.session.ask_for_proof()

    @property
    def outstanding(self) -> int:
        """How many frames have not been proved."""
        return sum(connection.outstanding for connection in self.connections)

    def end_all(self, spread_s: float, grace_s: float) -> Deferred[None]:
        """End the connections one after another, within `spread_s`, so that they do not all come back at
        once. What is queued for them is sent before, or dropped `grace_s` seconds later.

        Fires when none is left.
        """
        ended: Deferred[None] = Deferred()
        connections = list(self.connections)
        interval_s = min(spread_s / max(len(connections), 1), LONGEST_INTERVAL_S)
        timer = self.reactor.callLater(interval_s * len(connections) + grace_s, self._abort_all)
        self._ended = ended
        for place, connection in enumerate(connections):
            self.reactor.callLater(interval_s * place, connection.end_now, CloseCode.STOPPING)
        self._tell_if_ended()
        return ended.addBoth(lambda _: timer.cancel() if timer.active() else None)

    def _abort_all(self) -> None:
        for connection in list(self.connections):
            connection.transport.abortConnection()

    def _tell_if_ended(self) -> None:
        if self._ended is not None and not self.connections:
            ended, self._ended = self._ended, None
            ended.callback(None)
