"""One thing that is sent, and what becomes of it. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from wsmb.client.core import Confirm
from wsmb.client.errors import ClientError


@dataclass(frozen=True, slots=True)
class Receipt:
    """What has become of what was sent. Either `receivers` or `stored` is 0.

    Both are 0 if nobody was there and nothing is kept, or if it is a `duplicate`.
    """

    message_id: str
    receivers: int = 0
    """How many connections it was handed to."""
    stored: int = 0
    """How many of its items are committed to the database."""
    duplicate: bool = False
    """Whether it was sent before under its id, and is not sent again."""
    time_stamp: str = ""
    """The broker's."""


Outcome = Receipt | ClientError

GRACE_S = 0.1
"""How late a time to live may be found: one of 0 takes some time to be sent. The broker has the last word."""


class Timer(Protocol):
    """Something that is to happen later."""

    def cancel(self) -> object:
        """It is not to happen."""


Later = Callable[[float, Callable[[], None]], Timer]
"""(seconds, what to call then), as the `call_later` of asyncio and the `callLater` of Twisted."""


class Send:
    """One `send-message` on its way. `told` gets its outcome; None once nobody waits for it any more."""

    __slots__ = ("_expires_s", "_payload", "channel", "is_out", "message_id", "number", "told")

    def __init__(
        self,
        number: int,
        channel: str,
        message_id: str,
        payload: bytes,
        expires_s: float | None,
        told: Callable[[Outcome], None],
    ) -> None:
        self.number = number
        self.channel = channel
        self.message_id = message_id
        self._payload = payload
        self._expires_s = expires_s
        self.told: Callable[[Outcome], None] | None = told
        self.is_out = False
        """Whether it is on the present connection, and not answered."""

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._payload)

    def payload(self, clock: Callable[[], float]) -> bytes:
        """The command as it is to be sent now; empty if its time to live is over."""
        if self._expires_s is None:
            return self._payload
        left_s = self._expires_s - clock()
        return b"" if left_s < -GRACE_S else b'%s,"ttl":%s}' % (self._payload[:-1], _encode(max(left_s, 0.0)))

    def tell(self, outcome: Outcome) -> None:
        """This is what has become of it."""
        told, self.told = self.told, None
        if told is not None:
            told(outcome)


def receipt(message_id: str, confirm: Confirm) -> Receipt:
    """What an accepted `confirm` says."""
    if not confirm.data:
        return Receipt(message_id)
    said = confirm.data[0]
    return Receipt(
        message_id,
        _number(said.get("receivers")),
        _number(said.get("stored")),
        said.get("duplicate") is True,
        str(said.get("time_stamp", "")),
    )


def _number(said: object) -> int:
    return said if isinstance(said, int) else 0


_encode = msgspec.json.encode
