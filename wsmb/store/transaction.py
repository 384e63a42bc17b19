"""One batch of operations in one transaction. Everything here runs in the pool's thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import groupby, repeat
from typing import Any

from twisted.logger import Logger

from wsmb.errors import Code, StoreError
from wsmb.interfaces import StoredItem
from wsmb.stock import Rows
from wsmb.store.dialects import Dialect, Row
from wsmb.store.json_text import as_bytes, from_column, to_ascii
from wsmb.store.operations import NO_ROOM, Ages, Append, Batch, Check, Count, NoteTries, Page, Remove, Sweep

_ALIVE = "SELECT 1"
_MOST_REPORTED = 1000
# What one portion of a sweep may delete, so that nothing waits long behind it.
_MOST_ITEMS_SWEPT, _MOST_KEYS_SWEPT = 1_000, 5_000
# A little late: who has read an item just before its end may still hand it out.
_EXPIRED_FOR_S = 10.0


class Transactions:
    """Carries out batches on the tables. The caller commits and rolls back. `now` gives Unix time."""

    _log = Logger()

    def __init__(
        self, dialect: Dialect, now: Callable[[], float], is_low: Callable[[Any], bool] | None = None
    ) -> None:
        """`is_low`: whether the disk has too little room left for what is new."""
        self._table = dialect.table
        self._side = dialect.side
        self._census = dialect.census
        self._now = now
        self._is_low = is_low or (lambda _connection: False)
        self._reported: set[int] = set()
        self._steps: dict[type, Callable[[Any, list[Any]], None]] = {
            Append: self._append,
            Remove: self._remove,
            NoteTries: self._note_tries,
            Page: self._pages,
            Ages: self._ages,
            Check: self._check,
            Sweep: self._sweep,
            Count: self._count,
        }

    def carry_out(self, connection: Any, batch: Batch) -> None:
        """Do all of `batch`, in order; raises the driver's errors."""
        self._census.begin_again(batch.operations)
        appends = batch.appends
        # Not where an earlier try may have stored it.
        has_new = not batch.unsure and any(append.is_new for append in appends)
        is_low = has_new and self._is_low(connection)
        for append in appends:
            if is_low and append.is_new:
                append.refusal = NO_ROOM
            else:
                self._prepare(connection, append)
        if batch.unsure or batch.collisions:
            self._find_out(connection, batch)
        for kind, group in groupby((op for op in batch.operations if op.refusal is None), key=type):
            self._steps[kind](connection, list(group))

    def _prepare(self, connection: Any, append: Append) -> None:
        try:
            append.texts = [to_ascii(item) for item in append.items]
        except UnicodeDecodeError:
            append.refusal = StoreError(Code.UNAVAILABLE, "an item is not UTF-8")
        else:
            append.refusal = self._table.refusal(connection, append.channel, append.texts)

    def _find_out(self, connection: Any, batch: Batch) -> None:
        """Before another try: was the last one committed after all? Are the ids somebody else's?"""
        appends = batch.appends
        ids = [item_id for append in appends for item_id in append.ids]
        rows, largest = self._table.taken(connection, ids) if ids else ([], 0)
        # One transaction stored all or none. What the original has taken since is not there any more.
        if batch.unsure and (_are_ours(rows, appends) or self._has_keys(connection, appends)):
            batch.keep_stored()
        elif rows or (ids and not batch.unsure):
            # The row that was in the way may be gone again, or yet to come: its number was given.
            batch.number(max(largest + 1, ids[0]))

    def _has_keys(self, connection: Any, appends: list[Append]) -> bool:
        keys = _keys(appends)
        return bool(keys) and self._side.last_keys(connection, len(keys)) == keys

    def _append(self, connection: Any, group: list[Append]) -> None:
        rows: list[tuple[int, str, str]] = []
        notes: list[tuple[int, int, float | None]] = []
        group = [append for append in group if not append.stored]
        for append in group:
            rows += zip(append.ids, repeat(append.channel), append.texts)
            if append.expires_at is not None:
                notes += [(item_id, 0, append.expires_at) for item_id in append.ids]
        if rows:
            self._table.insert(connection, rows)
        self._side.put(connection, notes)
        self._side.put_keys(connection, _keys(group), self._now())

    def _remove(self, connection: Any, group: list[Remove]) -> None:
        gone = self._delete(connection, [item_id for remove in group for item_id in remove.ids])
        if gone:  # else an earlier try may have been committed, which has noted what it removed
            for remove in group:
                remove.gone = ()
            group[0].gone = gone

    def _delete(self, connection: Any, ids: Sequence[int]) -> list[Rows]:
        """What it removes."""
        gone = self._census.of(connection, ids)
        self._table.delete(connection, ids)
        self._side.delete(connection, ids)
        return gone

    def _note_tries(self, connection: Any, group: list[NoteTries]) -> None:
        for note in group:
            self._side.note_tries(connection, note.tries)

    def _sweep(self, connection: Any, group: list[Sweep]) -> None:
        for sweep in group:
            expired = self._side.expired(connection, sweep.now - _EXPIRED_FOR_S, _MOST_ITEMS_SWEPT)
            sweep.gone = self._delete(connection, expired) or sweep.gone
            sweep.more = len(expired) == _MOST_ITEMS_SWEPT
            sweep.more |= self._side.forget_keys(connection, sweep.now, _MOST_KEYS_SWEPT)
            if sweep.orphans_after is not None:
                sweep.next_orphans_after = self._side.delete_orphans(
                    connection, sweep.orphans_after, _MOST_ITEMS_SWEPT
                )
                sweep.more |= sweep.next_orphans_after is not None

    def _count(self, connection: Any, group: list[Count]) -> None:
        for count in group:
            count.found, count.last_id = self._census.portion(connection, count.after_id, count.most)

    def _check(self, connection: Any, _group: list[Check]) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute(_ALIVE)
            cursor.fetchall()

    def _pages(self, connection: Any, group: list[Page]) -> None:
        for page in group:
            page.found = []
            wanted = _utf8(page.channel)
            if wanted is not None and page.max_items > 0:
                self._page(connection, page, wanted)
                self._add_notes(connection, page)

    def _ages(self, connection: Any, group: list[Ages]) -> None:
        for asked in group:
            names = [name for name in asked.channels if _utf8(name) is not None]
            # By another clock, or in another time zone, it may have been stored in the future.
            found = self._table.ages(connection, names)
            asked.found = {name: max(float(age_s), 0.0) for name, age_s in found.items()}

    def _page(self, connection: Any, page: Page, wanted: bytes) -> None:
        room = page.max_bytes
        with closing(
            self._table.read(connection, page.channel, page.after_id, page.max_items, page.max_bytes)
        ) as rows:
            for item_id, channel, value in rows:
                if as_bytes(channel) != wanted or item_id in page.hidden:
                    continue
                data = from_column(value)
                if data is None:
                    self._report(item_id)
                    continue
                room -= len(data)
                if page.found and room < 0:
                    return
                page.found.append(StoredItem(item_id, data))
                if len(page.found) == page.max_items or room <= 0:
                    return

    def _add_notes(self, connection: Any, page: Page) -> None:
        if not self._side.has_items:
            return
        notes = self._side.notes(connection, [item.item_id for item in page.found])
        if notes:
            page.found = [StoredItem(*item[:2], *notes.get(item.item_id, ())) for item in page.found]

    def _report(self, item_id: int) -> None:
        if item_id in self._reported or len(self._reported) > _MOST_REPORTED:
            return
        self._reported.add(item_id)
        if len(self._reported) > _MOST_REPORTED:
            self._log.warn("more rows hold no JSON: they are passed over and not named any more")
        else:
            self._log.warn("row {item_id} holds no JSON: it is passed over and left there", item_id=item_id)


def _utf8(channel: str) -> bytes | None:
    try:
        return channel.encode()
    except UnicodeEncodeError:
        return None


def _keys(appends: list[Append]) -> list[bytes]:
    return [append.key for append in appends if append.key is not None]


def _are_ours(rows: list[Row], appends: list[Append]) -> bool:
    if not rows:
        return False
    ours = {
        item_id: (append.channel.encode(), text.encode())
        for append in appends
        for item_id, text in zip(append.ids, append.texts, strict=True)
    }
    return all(ours.get(item_id) == (as_bytes(channel), as_bytes(data)) for item_id, channel, data in rows)
