"""What the store asks of a database dialect; sqlite.py and mysql.py answer it."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import Any, Protocol

from wsmb.errors import SettingError, StoreError

Row = tuple[int, object, object]
"""data_id, channel, data as the driver gives them."""


class Fault(Enum):
    """What an error of the driver means for the transaction that met it."""

    PASSING = auto()
    """The database is away, locked or full: the same again later will succeed."""
    TAKEN = auto()
    """A row with one of our ids is there."""
    TOO_LARGE = auto()
    """An item that the database cannot take."""
    POISON = auto()
    """Something that it will never take."""


class Table(Protocol):
    """The statements on `<prefix>data`. Each gets a DB-API connection, in the pool's thread."""

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

    def taken(self, connection: Any, ids: Sequence[int]) -> tuple[list[Row], int]:
        """The rows that have one of these ids, and the largest id that was ever given."""


class Dialect(Protocol):
    """Connections to one kind of database, and what its errors mean."""

    @property
    def module(self) -> str:
        """The DB-API module, by name."""

    @property
    def table(self) -> Table:
        """Its statements."""

    def open(self) -> int:
        """Connect once, make the table if there is none, and return the largest id. SettingError."""

    def connect_arguments(self) -> dict[str, Any]:
        """What adbapi passes to `connect`."""

    def prepare(self, connection: Any) -> None:
        """Set up a new connection."""

    def interrupt(self) -> None:
        """Make what runs on the latest connection fail soon; from any thread."""

    def fault(self, error: BaseException) -> Fault:
        """What an error means."""


def kind_of(error: BaseException) -> str:
    """The kind of a driver's error, for the log: its text may quote data."""
    name = type(error).__name__
    first = error.args[0] if error.args else None
    number = getattr(error, "sqlite_errorname", first if isinstance(first, int) else None)
    return name if number is None else f"{name} {number}"


def table_name(prefix: str) -> str:
    """The table's name; SettingError for a prefix that cannot be part of one."""
    if not re.fullmatch(r"[A-Za-z0-9_$]{0,60}", prefix):
        message = f"[database] prefix: {prefix!r} is not made of letters, digits, _ and $; change it"
        raise SettingError(message)
    return f"{prefix}data"


def schema_statements(dialect: str, number: int, prefix: str) -> Iterable[str]:
    """The statements of one numbered schema file."""
    path = Path(__file__).parent / "schema" / dialect / f"{number:04}.sql"
    text = path.read_text(encoding="utf-8").replace("{prefix}", prefix)
    return [statement for statement in text.split(";\n") if statement.strip()]


def check_columns(table: str, found: Iterable[str]) -> None:
    """SettingError unless the columns of the original are among `found`."""
    missing = {"data_id", "channel", "data", "created"} - {name.lower() for name in found}
    if missing:
        message = (
            f"[database] prefix: the table {table} is there but has no column {', '.join(sorted(missing))};"
            " choose another prefix or add what is missing"
        )
        raise SettingError(message)


def chunks(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """`ids` in pieces of `size`, the last one filled up by repeating its last id.

    So that the statement always has the same text, which drivers keep prepared.
    """
    for start in range(0, len(ids), size):
        piece = ids[start : start + size]
        yield [*piece, *[piece[-1]] * (size - len(piece))] if len(ids) > 1 else piece
