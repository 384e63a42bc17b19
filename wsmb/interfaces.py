"""What the parts of the broker ask of each other, with the guarantees they may count on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from wsmb.errors import CloseCode, StoreError
from wsmb.figures import StoreFigures
from wsmb.frames import Bundle
from wsmb.settings import ChannelSettings
from wsmb.stock import Stock


class StoredItem(NamedTuple):
    """One waiting item."""

    item_id: int
    """Unique in its store; a later item of a channel has a larger one."""
    data: bytes
    """JSON text in UTF-8."""
    tries: int = 0
    """How often it has been handed out before, as far as that was noted."""
    expires_at: float | None = None
    """Unix time from which on it is not to be delivered any more."""


class MessageStore(Protocol):
    """Keeps items until they are removed.

    Every method returns at once and never blocks. Operations are carried out one after another in
    the order of the calls, and each `done` is called exactly once, in that order, never before its
    method has returned, always in the caller's thread. A passing fault (the database is away, a
    lock, a full disk) is not reported: the store tries again until it has succeeded or is closed.
    On `close`, what has not been done gets a StoreError.

    While the disk is full, appends wait for room in their order, and what was asked after them goes on;
    but a page that would be empty waits for the appends to its channel.
    """

    @property
    def keys(self) -> Sequence[tuple[bytes, float]]:
        """The keys that were remembered when it was opened, oldest first, each with its Unix time.

        Of the last 10 minutes, at most the last 100,000.
        """

    @property
    def stock(self) -> Stock:
        """How much waits here: exact for what goes through this store; what other programs add and remove
        is known from the next count on. Each result is given after what it means has been counted."""

    @property
    def figures(self) -> StoreFigures:
        """What it has done so far."""

    def append(
        self,
        channel: str,
        items: Sequence[bytes],
        done: Callable[[Sequence[int] | StoreError], None],
        *,
        expires_at: float | None = None,
        key: bytes | None = None,
        within: ChannelSettings | None = None,
    ) -> None:
        """Keep `items` (JSON texts in UTF-8) behind what waits on `channel`, all of them or none.

        `done` gets their ids, ascending but not always without gaps, once they are committed to the
        disk. After an UNAVAILABLE they may have been kept all the same.

        `expires_at`: the Unix time from which on they are of no use; some time after it the store may
        forget them by itself. `key` (16 bytes) is remembered in the same transaction; `items` may be
        empty then.

        `within`: refused with TOO_MANY if with these items more waits than these settings of the channel
        allow, or `stock.limits`, and with UNAVAILABLE if the disk has too little room left. None: these
        were taken before, and are never refused for that.
        """

    def note_tries(self, tries: Mapping[int, int]) -> None:
        """Note how often items (by id) have been handed out. Ids that are not there are passed over."""

    def remove(self, item_ids: Sequence[int]) -> None:
        """Forget items. Ids that are not there are passed over."""

    def page(
        self,
        channel: str,
        after_id: int,
        max_items: int,
        max_bytes: int,
        done: Callable[[Sequence[StoredItem] | StoreError], None],
    ) -> None:
        """Read the oldest items of `channel` with an id above `after_id`.

        At most `max_items`, and no more than `max_bytes` of data, but at least one if there is one.
        Channels are compared byte by byte whatever the database's collation; rows that are not valid
        JSON are passed over. Never reads more than about one page from the database at a time. An empty
        sequence: nothing waits.
        """

    def ages(self, channels: Sequence[str], done: Callable[[Mapping[str, float] | StoreError], None]) -> None:
        """Find out for how many seconds the oldest item of each of `channels` has been there: since it was
        stored, by the database's own clock, in whole seconds.

        Channels without items are left out, and those whose oldest item has no time (another program can
        leave it out). Each takes one look at an index, however much waits.
        """

    def check(self, done: Callable[[bool], None]) -> None:
        """Ask the database for a sign of life: True, or False if none has come after 2 s.

        The one call whose `done` may overtake others.
        """

    def close(self, done: Callable[[], None]) -> None:
        """Finish what was asked before (for at most 4 s), then let go of the database."""


class Peer(Protocol):
    """The other end of one connection, as session and channels see it. No method raises."""

    def send_frame(self, frame: bytes) -> None:
        """Queue one complete WebSocket frame; it goes out at the end of the reactor's turn.

        Calls nobody back. Does nothing after the end.
        """

    def send_bundle(self, bundle: Bundle) -> None:
        """Queue what the bundle will hold at the end of the reactor's turn, as `send_frame` does."""

    def is_full(self) -> bool:
        """Whether so much waits to be sent that no items should be taken from a store for it."""

    def pause(self) -> None:
        """Read nothing more from this connection until `resume`; what was read still comes."""

    def resume(self) -> None:
        """Read on."""

    def end(self, code: CloseCode) -> None:
        """End the connection soon, for the reason `code`; calls nobody back."""


class PasswordChecker(Protocol):
    """Checks credentials."""

    def remembers(self, user: str, password: bytes) -> bool:
        """Whether `password` is known to be the one of `user`; costs next to nothing."""

    def check(self, user: str, password: bytes, done: Callable[[bool], None]) -> None:
        """Call `done` with whether `password` is the one of `user`; at once or later.

        Takes the same time for a user that is not there as for one that is.
        """
