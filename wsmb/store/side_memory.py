"""Tries and expiry for as long as the broker runs, where its user may not make tables for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_MOST = 100_000


class SideMemory:
    """What SideTables keeps in `<prefix>item`, in memory: of the last 100,000 items that have any."""

    def __init__(self) -> None:
        self._notes: dict[int, tuple[int, float | None]] = {}

    def __len__(self) -> int:
        return len(self._notes)

    def put(self, rows: Iterable[tuple[int, int, float | None]]) -> None:
        """Remember (data_id, tries, expires_at)."""
        for item_id, tries, expires_at in rows:
            self._notes[item_id] = (tries, expires_at)
            if len(self._notes) > _MOST:
                del self._notes[next(iter(self._notes))]

    def notes(self, ids: Sequence[int]) -> dict[int, tuple[int, float | None]]:
        """Tries and expires_at by id, for those of `ids` that have any."""
        return {item_id: self._notes[item_id] for item_id in ids if item_id in self._notes}

    def delete(self, ids: Iterable[int]) -> None:
        """Forget these items."""
        for item_id in ids:
            self._notes.pop(item_id, None)

    def expired(self, before: float, limit: int) -> list[int]:
        """The ids of items that have expired before `before`, at most `limit`."""
        ids = [item_id for item_id, (_, at) in self._notes.items() if at is not None and at < before]
        return ids[:limit]
