"""The tables beside the original's: what an item has besides its text, and the ids of messages.

The same statements for every dialect, but for the few words that each has its own of.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain
from typing import Any, NamedTuple, overload

from wsmb.store.side_memory import SideMemory

KEYS_KEPT = 100_000
KEYS_KEPT_S = 600.0
"""How many keys are remembered, and for how long."""

_DELETE = "DELETE FROM {item} WHERE data_id IN ({marks})"
_NOTES = "SELECT data_id, tries, expires_at FROM {item} WHERE data_id IN ({marks})"
_THERE = "SELECT data_id FROM {data} WHERE data_id IN ({marks})"
_EXPIRED = "SELECT data_id FROM {item} WHERE expires_at < {mark} ORDER BY expires_at LIMIT {mark}"
_NEXT = "SELECT data_id FROM {item} WHERE data_id > {mark} ORDER BY data_id LIMIT {mark}"
_DELETE_ABOVE = "DELETE FROM {item} WHERE data_id > {mark}"
_ADD_KEYS = "INSERT INTO {message_id} (number, digest, created) VALUES {rows}"
# Each by itself: SQLite would walk over the table for the two of them at once.
_KEY_NUMBERS = """
SELECT COALESCE((SELECT MIN(number) FROM {message_id}), 0),
       COALESCE((SELECT MAX(number) FROM {message_id}), 0)"""
_KEYS = "SELECT digest, created FROM {message_id} WHERE number > {mark} AND number <= {mark} ORDER BY number"
_DELETE_KEYS = """
DELETE FROM {message_id} WHERE number < {mark} AND (number <= {mark} OR created < {mark})"""

_PER_STATEMENT = 100
_KEYS_PER_STATEMENT = 5_000


class Words(NamedTuple):
    """What the dialects say each in their own way."""

    mark: str
    """Where a parameter goes."""
    quote: str
    """What stands around a name."""
    put: str
    """Insert `{rows}` of data_id, tries, expires_at into `{item}`, in the place of those that are there."""


class Keys(Sequence[tuple[bytes, float]]):
    """Keys of 16 bytes with their times, in a fifth of the memory that a list would take."""

    def __init__(self, rows: Iterable[tuple[Any, Any]]) -> None:
        digests, times = bytearray(), array("d")
        for digest, created in rows:
            digests += bytes(digest)
            times.append(float(created))
        self._digests, self._times = digests, times

    def __len__(self) -> int:
        return len(self._times)

    @overload
    def __getitem__(self, index: int) -> tuple[bytes, float]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[bytes, float]]: ...
    def __getitem__(self, index: int | slice) -> tuple[bytes, float] | list[tuple[bytes, float]]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        return bytes(self._digests[16 * number : 16 * number + 16]), self._times[number]


class SideTables:
    """`<prefix>item` and `<prefix>message_id`. Each method gets a DB-API connection and does not commit."""

    def __init__(self, prefix: str, words: Words) -> None:
        names = ("data", "item", "message_id")
        self._names = {name: f"{words.quote}{prefix}{name}{words.quote}" for name in names}
        self._words = words
        self.are_there = True
        """To be set False, before `open`, where they could not be made.

        Then tries and expiry last as long as the broker runs, and no keys are kept.
        """
        self._memory = SideMemory()
        self._has_items = True

    def open(self, connection: Any, largest_id: int, now: float) -> Keys:
        """Look at what is there: the keys that are remembered.

        Rows above `largest_id` are of items that the original has taken; their ids may be given again.
        """
        if not self.are_there:
            return Keys(())
        self._execute(connection, _DELETE_ABOVE, (largest_id,))
        self._has_items = bool(self._execute(connection, _NEXT, (0, 1)))
        rows = self._last_keys(connection, KEYS_KEPT)
        return Keys((digest, created) for digest, created in rows if created >= now - KEYS_KEPT_S)

    @property
    def has_items(self) -> bool:
        """Whether any item may have tries or expiry. Most stores have none, and pay nothing."""
        return self._has_items if self.are_there else len(self._memory) > 0

    def put(self, connection: Any, rows: Sequence[tuple[int, int, float | None]]) -> None:
        """Insert (data_id, tries, expires_at), in the place of what is there for these ids."""
        if not self.are_there:
            self._memory.put(rows)
        elif rows:
            self._has_items = True
            self._insert(connection, self._words.put, rows)

    def notes(self, connection: Any, ids: Sequence[int]) -> dict[int, tuple[int, float | None]]:
        """Tries and expires_at by id, for those of `ids` that have any."""
        if not self.has_items:
            return {}
        if not self.are_there:
            return self._memory.notes(ids)
        rows = self._of_ids(connection, _NOTES, ids)
        return {item_id: (tries, expires_at) for item_id, tries, expires_at in rows}

    def note_tries(self, connection: Any, tries: Mapping[int, int]) -> None:
        """Note how often these items were handed out; ids without a data row are passed over."""
        there = sorted({row[0] for row in self._of_ids(connection, _THERE, list(tries))})
        notes = self.notes(connection, there)
        self.put(connection, [(item, tries[item], notes.get(item, (0, None))[1]) for item in there])

    def delete(self, connection: Any, ids: Sequence[int]) -> None:
        """Delete the rows of these items. Where no item has a row, this costs nothing."""
        if not self.are_there:
            self._memory.delete(ids)
        elif self._has_items:
            self._of_ids(connection, _DELETE, ids)

    def put_keys(self, connection: Any, keys: Sequence[bytes], now: float) -> None:
        """Remember `keys`, in their order."""
        if keys and self.are_there:
            # Numbered here: the databases' own counters leave gaps after a rollback, and the window of
            # so many keys is told by the numbers.
            _, last = self._key_numbers(connection)
            self._insert(
                connection, _ADD_KEYS, [(number, key, now) for number, key in enumerate(keys, last + 1)]
            )

    def last_keys(self, connection: Any, count: int) -> list[bytes]:
        """The last `count` keys, oldest first."""
        if not self.are_there:
            return []
        return [bytes(digest) for digest, _ in self._last_keys(connection, count)]

    def expired(self, connection: Any, before: float, limit: int) -> list[int]:
        """The ids of items that have expired before `before`, at most `limit`."""
        if not self.has_items:
            return []
        if not self.are_there:
            return self._memory.expired(before, limit)
        return [row[0] for row in self._execute(connection, _EXPIRED, (before, limit))]

    def delete_orphans(self, connection: Any, after_id: int, limit: int) -> int | None:
        """Of the next `limit` rows above `after_id`, delete those whose item is not there any more.

        The last id that was looked at; None if there was none.
        """
        if not (self.are_there and self._has_items):
            return None
        ids = [row[0] for row in self._execute(connection, _NEXT, (after_id, limit))]
        there = {row[0] for row in self._of_ids(connection, _THERE, ids)}
        self._of_ids(connection, _DELETE, [item_id for item_id in ids if item_id not in there])
        return ids[-1] if ids else None

    def forget_keys(self, connection: Any, now: float, limit: int) -> bool:
        """Of the first `limit` keys, forget those beyond the window; whether there may be more."""
        if not self.are_there:
            return False
        first, last = self._key_numbers(connection)
        values = (first + limit, last - KEYS_KEPT, now - KEYS_KEPT_S)
        self._execute(connection, _DELETE_KEYS, values)
        after, _ = self._key_numbers(connection)
        return after >= first + limit

    def _key_numbers(self, connection: Any) -> tuple[int, int]:
        ((first, last),) = self._execute(connection, _KEY_NUMBERS)
        return int(first), int(last)

    def _last_keys(self, connection: Any, count: int) -> Iterator[tuple[Any, ...]]:
        _, last = self._key_numbers(connection)
        for start in range(max(last - count, 0), last, _KEYS_PER_STATEMENT):
            yield from self._execute(connection, _KEYS, (start, min(start + _KEYS_PER_STATEMENT, last)))

    def _insert(self, connection: Any, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Many rows in a statement: SQLite lets go of the interpreter lock with each."""
        mark = f"({self._words.mark}, {self._words.mark}, {self._words.mark})"
        for piece in _pieces(rows):
            values = list(chain.from_iterable(piece))
            self._execute(connection, statement, values, rows=", ".join([mark] * len(piece)))

    def _of_ids(self, connection: Any, statement: str, ids: Sequence[int]) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        for piece in _pieces(ids):
            # One text for all lengths but one, which drivers keep prepared.
            size = _PER_STATEMENT if len(piece) > 1 else 1
            filled = [*piece, *[piece[-1]] * (size - len(piece))]
            found += self._execute(connection, statement, filled, marks=", ".join([self._words.mark] * size))
        return found

    def _execute(
        self, connection: Any, statement: str, values: Sequence[object] = (), **parts: str
    ) -> list[tuple[Any, ...]]:
        text = statement.format(**self._names, mark=self._words.mark, **parts)
        with closing(connection.cursor()) as cursor:
            cursor.execute(text, values)
            return list(cursor.fetchall()) if cursor.description else []


def _pieces(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), _PER_STATEMENT):
        yield rows[start : start + _PER_STATEMENT]
