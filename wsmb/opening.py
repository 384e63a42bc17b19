"""The opening of a connection: the request is let in or refused (RFC 6455, section 4.2).

What Autobahn does behind a server's back here is put right; each remedy has its test in
tests/test_protocol.py or tests/test_protocol_openings.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from wsmb.access import RECEIVE, SEND
from wsmb.arriving import ArrivingProtocol
from wsmb.credentials import offered
from wsmb.guard import BUSY
from wsmb.handshake import Refusal, is_origin_allowed
from wsmb.identity import identified
from wsmb.topic_query import QueryError, Topic, read_topic

MAX_EARLY_BYTES = 65_536
GUESS_S = 0.25
"""After which it is told that a password was not looked at. Who guesses one after another has the others
wait less by that."""


class OpeningProtocol(ArrivingProtocol):
    """A connection until its upgrade has been answered."""

    openHandshakeTimeoutCall: Any
    is_checking = False
    """Whether the password is being checked."""
    topic: Topic | None = None
    """The channel in its URL."""
    _forget_check: Callable[[], None] | None = None
    _answer_call: Any = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The TCP connection has ended."""
        if self._forget_check is not None:
            self._forget_check()
        if self._answer_call is not None:
            self._answer_call.cancel()
        super().connectionLost(reason)

    def early_data_received(self, data: bytes) -> None:
        """Bytes have come while the password is being checked.

        They are not to be parsed before it is known whether this user may come in: Autobahn would take
        a second request for the first one's.
        """
        self.data += data
        if len(self.data) > MAX_EARLY_BYTES:
            self.dropConnection(abort=True)

    def onConnect(  # type: ignore[override]  # Autobahn takes a Deferred as well
        self, request: ConnectionRequest
    ) -> Deferred[str | None] | str | None:
        """Let in whom the password file knows. Raises ConnectionDeny for all others."""
        settings = self.factory.settings
        if self.factory.stopping:
            raise ConnectionDeny(503)
        if settings.path not in ("/", request.path):
            raise ConnectionDeny(404)
        if not is_origin_allowed(self._origin, settings.allowed_origins):
            raise ConnectionDeny(403)
        self._read_query()
        subprotocol, credentials = offered(request.protocols, request.headers.get("authorization", ""))
        who = identified(self.transport, settings.tls.users, credentials)
        if who is None:
            raise ConnectionDeny(401)
        if isinstance(who, str):
            self._enter(who)
            return subprotocol
        # A check may have to wait for others; from here on the client is not the slow one.
        self.openHandshakeTimeoutCall.cancel()
        self.openHandshakeTimeoutCall = None
        self._visit.waits()
        user, password = who
        answer: Deferred[str | None] = Deferred()
        self.is_checking = True

        def checked(refusal: Refusal | None) -> None:
            self._forget_check = None
            self._visit.is_checked()
            if refusal is not None and refusal.status == 429:
                self._answer_call = self.factory.reactor.callLater(GUESS_S, answered, refusal)
            else:
                answered(refusal)

        def answered(refusal: Refusal | None) -> None:
            self.is_checking = False
            self._answer_call = None
            try:
                self._enter(user, BUSY if self.factory.stopping else refusal)
            except ConnectionDeny as denial:
                answer.errback(denial)
            else:
                answer.callback(subprotocol)

        forget_check = self.factory.guard.check(user, password, self._address, checked)
        if self.is_checking:
            self._forget_check = forget_check
        return answer

    def _read_query(self) -> None:
        """Raises ConnectionDeny, if the channel in the URL is none."""
        try:
            self.topic = read_topic(self.http_request_uri)
        except QueryError as problem:
            self._explanation = str(problem)
            raise ConnectionDeny(400) from None

    def _enter(self, user: str, refusal: Refusal | None = None) -> None:
        """Let `user` in, unless there is a refusal. Raises ConnectionDeny."""
        refusal = refusal or self._check_topic(user) or self._visit.enters(user)
        if refusal is not None:
            self._retry_after_s = refusal.retry_after_s
            raise ConnectionDeny(refusal.status)
        self.user = user

    def _check_topic(self, user: str) -> Refusal | None:
        """Who may do nothing at all on the channel in the URL has nothing to do here."""
        if self.topic is None:
            return None
        name, broker = self.topic.name, self.factory.broker
        may = [
            action
            for action in (SEND, RECEIVE)
            if broker.access is None or broker.access.decide(user, action, name).allowed
        ]
        if not may:
            return Refusal(403)
        return Refusal(503) if RECEIVE in may and not broker.channels.has_room(name) else None

    def succeedHandshake(self, res: str | None) -> None:
        """Open the connection, unless the client has left while its password was checked."""
        if self.state == self.STATE_CONNECTING:
            super().succeedHandshake(res)
