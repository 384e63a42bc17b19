"""Who asks, and whether it may come in: the same questions in the same order as for a WebSocket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from wsmb.addresses import behind
from wsmb.credentials import parse_basic
from wsmb.factory import BrokerFactory
from wsmb.guard import BUSY
from wsmb.handshake import Refusal, is_origin_allowed
from wsmb.identity import identified
from wsmb.opening import GUESS_S


class Asking(Protocol):
    """A request, as it is looked at here."""

    @property
    def channel(self) -> Any:
        """The BoundedChannel that it came on."""

    @property
    def forwarded(self) -> str:
        """What all `X-Forwarded-For` say, with commas between."""

    def header(self, name: str) -> str:
        """A header's value; '' if there is none."""


class Entrance:
    """For one request. `answered` gets the user, or why there is none, at once or later."""

    def __init__(
        self, asking: Asking, factory: BrokerFactory, answered: Callable[[str | Refusal], None]
    ) -> None:
        self._asking = asking
        self._channel = asking.channel
        self._factory = factory
        self._answered = answered
        self._user = ""
        self._address = behind(self._channel.address, asking.forwarded, factory.trusted_proxies)
        self._forget_check: Callable[[], None] = lambda: None
        self._answer_call: Any = None

    def ask(self, *, is_last: bool) -> None:
        """`is_last`: it may come in while the broker stops, too."""
        refusal = BUSY if self._factory.stopping and not is_last else self._channel.speaks_for(self._address)
        if refusal is None and not self._is_of_origin():
            refusal = Refusal(403)
        credentials = parse_basic(self._asking.header("authorization"))
        who = identified(self._channel.transport, self._factory.settings.tls.users, credentials)
        if refusal is not None or who is None:
            self._answered(refusal or Refusal(401))
        elif isinstance(who, str):
            self._user = who
            self._enter()
        else:
            self._user, password = who
            self._channel.waits()
            self._forget_check = self._factory.guard.check(self._user, password, self._address, self._checked)

    def forget(self) -> None:
        """Nobody waits for the answer any more."""
        self._forget_check()
        if self._answer_call is not None:
            self._answer_call.cancel()
            self._answer_call = None

    def _checked(self, refusal: Refusal | None) -> None:
        self._channel.is_checked()
        if refusal is None:
            self._enter()
        elif refusal.status == 429:
            self._answer_call = self._factory.reactor.callLater(GUESS_S, self._tell_guesser, refusal)
        else:
            self._answered(refusal)

    def _tell_guesser(self, refusal: Refusal) -> None:
        self._answer_call = None
        self._answered(refusal)

    def _enter(self) -> None:
        refusal = self._channel.enters(self._user, self._address)
        self._answered(self._user if refusal is None else refusal)

    def _is_of_origin(self) -> bool:
        """Whether no page of another web site asks: the browser would send along what it knows to log in."""
        origin = self._asking.header("origin")
        if not origin:
            # Pictures and the like are asked for without an Origin, by newer browsers with this.
            return self._asking.header("sec-fetch-site") not in ("cross-site", "same-site")
        own = {f"{scheme}://{self._asking.header('host')}" for scheme in ("http", "https")}
        return origin in own or is_origin_allowed(origin, self._factory.settings.allowed_origins)
