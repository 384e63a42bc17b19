"""What the store asks of a database dialect; sqlite.py, mysql.py and postgresql.py answer it.

A dialect is a `Dialect`, its `Table` (the original's, in its own words) and a `SideTables` with the few
words that differ, and the schema files `schema/<dialect>/0001.sql` and on (see migrations.py).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from enum import Enum, auto
from typing import Any, NamedTuple, Protocol, TypeVar

from wsmb.errors import StoreError
from wsmb.stock import Disk
from wsmb.store.census import Census
from wsmb.store.side_tables import SideTables

T = TypeVar("T")
Row = tuple[int, object, object]
"""data_id, channel, data as the driver gives them."""


class Fault(Enum):
    """What an error of the driver means for the transaction that met it."""

    PASSING = auto()
    """The database is away or locked: the same again later will succeed."""
    FULL = auto()
    """There is no room. Nothing has been committed; what needs no room may succeed."""
    TAKEN = auto()
    """A row with one of our ids is there."""
    TOO_LARGE = auto()
    """An item that the database cannot take."""
    POISON = auto()
    """Something that it will never take."""


class Table(Protocol):
    """The statements on `<prefix>data`. Each gets a DB-API connection, in the pool's thread.

    None of them commits or rolls back, and each may be called again after a rollback.
    """

    def refusal(self, connection: Any, channel: str, texts: Sequence[str]) -> StoreError | None:
        """Why rows of `channel` with these data cannot be stored, found out without any SQL."""

    def insert(self, connection: Any, rows: Sequence[tuple[int, str, str]]) -> None:
        """Insert (data_id, channel, data) rows."""

    def delete(self, connection: Any, ids: Sequence[int]) -> None:
        """Delete the rows with these ids."""

    def read(
        self, connection: Any, channel: str, after_id: int, max_items: int, max_bytes: int
    ) -> Generator[Row, None, None]:
        """The rows of the channel above `after_id`, ascending, all of them, fetched as they are taken.

        `max_items` and `max_bytes` are what the caller means to take: it never fetches much more.
        """

    def ages(self, connection: Any, channels: Sequence[str]) -> dict[str, float]:
        """For how many seconds the row with the smallest id of each channel has been there, if it says."""

    def taken(self, connection: Any, ids: Sequence[int]) -> tuple[list[Row], int]:
        """The rows that have one of these ids, and the largest id that was ever given."""


class Opened(NamedTuple):
    """What `Dialect.open` has found."""

    largest_id: int
    """The largest id that was ever given, as far as the database knows."""
    keys: Sequence[tuple[bytes, float]] = ()
    """See MessageStore.keys."""


class Dialect(Protocol):
    """One database: the only broker on its tables while it is open."""

    @property
    def module(self) -> str:
        """The DB-API module, by name."""

    @property
    def table(self) -> Table:
        """The statements on the original's table."""

    @property
    def side(self) -> SideTables:
        """The statements on the tables beside it."""

    @property
    def census(self) -> Census:
        """The statements that count what waits in the original's table."""

    def disk(self, connection: Any) -> Disk | None:
        """The disk that the database is on, if it is known. In the pool's thread; raises OSError and the
        driver's errors."""

    def open(self) -> Opened:
        """Take the tables for this broker alone, bring them up to date and connect.

        Blocks for some seconds at most. SettingError, also if another broker has them; then nothing is
        left open.
        """

    def connect(self) -> Any:
        """A connection for the pool, set up and with the tables taken; raises the driver's errors.

        Autocommit is off. The first call gives the one that `open` has made, so that a broker that is
        idle has the tables as well. It blocks, in the pool's thread.
        """

    def interrupt(self) -> None:
        """Make what runs on the latest connection fail soon; from any thread."""

    def fault(self, error: BaseException) -> Fault:
        """What an error means."""

    def close(self) -> None:
        """Let go of what `open` has taken, once the pool has no connection any more."""


def kind_of(error: BaseException) -> str:
    """The kind of a driver's error, for the log: its text may quote data."""
    name = type(error).__name__
    first = error.args[0] if error.args else None
    number = getattr(error, "sqlite_errorname", first if isinstance(first, int) else None)
    return name if number is None else f"{name} {number}"


def chunks(ids: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """`ids` (or names) in pieces of `size`, the last one filled up by repeating the last of them.

    So that the statement always has the same text, which drivers keep prepared.
    """
    for start in range(0, len(ids), size):
        piece = ids[start : start + size]
        yield [*piece, *[piece[-1]] * (size - len(piece))] if len(ids) > 1 else piece
