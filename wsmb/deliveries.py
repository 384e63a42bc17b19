"""Messages on their way, and what has been handed out but not proved yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from wsmb import wire
from wsmb.errors import StoreError
from wsmb.interfaces import MessageStore, Peer
from wsmb.settings import ChannelSettings


class Done(Protocol):
    """Told once that a frame was carried out, delivered or committed, or why it could not be."""

    def __call__(self, error: StoreError | None, receivers: int = 0, stored: int = 0) -> None:
        """`receivers`: how many connections it was handed to; `stored`: how many items were committed."""


class Ledger(Protocol):
    """Counts the commands of a sender that are not finished (its Answers do)."""

    def begin(self, cost_bytes: int) -> Done:
        """A command of so many bytes is not finished yet. The result is called when it is, but never
        before the call that began it has returned.

        Raises CommandError (UNAVAILABLE) if there are too many already.
        """


class Message(msgspec.Struct, eq=False):
    """Items that go together: a frame as its sender wrote it, or a batch of waiting items."""

    payload: bytes
    items: Sequence[bytes] | msgspec.Raw
    limit: int
    sender: Peer | None
    number: int = 0
    """Counts the frames of its channel, in the order in which they came."""
    expires_at: float | None = None
    """Unix time."""
    key: bytes | None = None
    """Its message id, as the store remembers it."""
    ids: Sequence[int] = ()
    """Its items' ids, once they are in the store."""
    is_batch: bool = False
    """Whether it was read from the store."""
    storing: bool = False
    """Whether its items are on their way to the store."""
    is_back: bool = False
    """Whether it waits again, in the store, or will once it is there."""
    is_settled: bool = False
    """Nothing is to be done with it any more."""
    tries: int = 0
    """How often it has been handed out in vain."""
    done: Done | None = None
    texts: Sequence[bytes] | None = None
    """What goes in its place, each in a frame of its own, to those who read texts (see Receiver); None:
    the same."""

    @property
    def own(self) -> frozenset[Peer]:
        """Who never gets it: its sender."""
        return frozenset() if self.sender is None else frozenset((self.sender,))

    def split(self) -> Sequence[bytes]:
        """Its items."""
        if isinstance(self.items, msgspec.Raw):
            self.items = wire.items(self.items)
        return self.items

    def append_to(
        self,
        store: MessageStore,
        channel: str,
        done: Callable[[Sequence[int] | StoreError], None],
        within: ChannelSettings | None = None,
    ) -> None:
        """See MessageStore.append."""
        store.append(channel, self.split(), done, expires_at=self.expires_at, key=self.key, within=within)


class Delivery:
    """Messages that were handed to the same receivers, and are proved or fail together.

    It is settled when none of its receivers is outstanding: proved, if one of them has proved it.
    """

    __slots__ = (
        "_open",
        "_settled",
        "dead_reason",
        "delay_s",
        "is_acknowledged",
        "is_proved",
        "is_tried",
        "last_user",
        "messages",
        "redeliver",
        "size_bytes",
    )

    def __init__(
        self, receivers: int, settled: Callable[[Delivery], None], redeliver: Callable[[], None]
    ) -> None:
        self._open = receivers
        self._settled = settled
        self.redeliver = redeliver
        """To be called when it has failed, together with all others that fail at the same time."""
        self.messages: list[Message] = []
        self.size_bytes = 0
        self.is_proved = False
        self.is_tried = False
        """Whether anybody was sent it."""
        self.is_acknowledged = False
        """Whether the last who failed it was one that acknowledges: only those can give it up for dead."""
        self.dead_reason = ""
        """Why nobody else should have it, if so."""
        self.delay_s = 0.0
        """Seconds to wait before it is tried again."""
        self.last_user = ""

    def add(self, message: Message) -> None:
        """One more message goes to the same receivers."""
        self.messages.append(message)
        self.size_bytes += len(message.payload)

    def prove(self) -> None:
        """One of its receivers has it."""
        self.is_proved = True
        self._close_one()

    def fail(self) -> None:
        """One of its receivers will not prove it."""
        self._close_one()

    def _close_one(self) -> None:
        self._open -= 1
        if not self._open:
            self._settled(self)


def is_expired(item: bytes, expires_at: float | None, field: str, now: float) -> bool:
    """Whether an item is too old to be delivered; `field`: the name of its own Unix time, or ''."""
    if expires_at is not None and expires_at <= now:
        return True
    own = wire.expiry(item, field) if field else None
    return own is not None and own <= now
