"""Random sequences of operations, played on a store and on plain lists."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st
from twisted.internet.defer import Deferred, gatherResults

from wsmb.interfaces import MessageStore, StoredItem

NAMES = ("Alice", "alice", "alice  ", "ÁLICE", "💬", 'it\'s "50%s" \\ `x`', "1", "x" * 100)

FAR = 4e9
"""A Unix time at which nothing has expired yet."""


def ask(method: Callable[..., None], *arguments: object, **options: object) -> Deferred[Any]:
    """Call a method of a store with a `done` that fires the Deferred."""
    answered: Deferred[Any] = Deferred()
    method(*arguments, lambda *results: answered.callback(*(results or (None,))), **options)
    return answered


def data_of(items: Sequence[StoredItem]) -> list[bytes]:
    return [item.data for item in items]


class Replay:
    """Plays one random sequence on a store and on plain lists, and compares."""

    def __init__(self, store: MessageStore, prefix: str) -> None:
        self.store = store
        self.prefix = prefix
        self.waiting: dict[str, list[dict[str, Any]]] = {}
        self.known: list[dict[str, Any]] = []
        self.open: list[Deferred[Any]] = []
        self.wrong: list[object] = []

    def append(self, name: str, texts: list[str], expires_at: float | None) -> None:
        notes = {"id": None, "tries": 0, "expires_at": expires_at}
        rows = [{"data": json.dumps(text).encode(), **notes} for text in texts]
        self.waiting.setdefault(name, []).extend(rows)

        def stored(ids: list[int]) -> None:
            for row, item_id in zip(rows, ids, strict=True):
                row["id"] = item_id
            self.known += rows

        texts = [row["data"] for row in rows]
        answer = ask(self.store.append, self.prefix + name, texts, expires_at=expires_at)
        self.open.append(answer.addCallback(stored))

    def remove(self, picks: list[int]) -> None:
        gone = [self.known[pick % len(self.known)] for pick in picks] if self.known else []
        for rows in self.waiting.values():
            rows[:] = [row for row in rows if not any(row is one for one in gone)]
        self.store.remove([row["id"] for row in gone])

    def note_tries(self, picks: list[int], tries: int) -> None:
        rows = [self.known[pick % len(self.known)] for pick in picks] if self.known else []
        for row in rows:
            row["tries"] = tries
        self.store.note_tries({row["id"]: tries for row in rows})

    def page(self, name: str, pick: int, max_items: int, max_bytes: int) -> None:
        after_id = self.known[pick % len(self.known)]["id"] if self.known and pick else 0
        rows = [row for row in self.waiting.get(name, []) if row["id"] is None or row["id"] > after_id]
        expected, room = [], max_bytes
        for row in rows[:max_items]:
            room -= len(row["data"])
            if expected and room < 0:
                break
            expected.append(row)
        tries = [row["tries"] for row in expected]

        def read(items: list[StoredItem]) -> None:
            stored = [
                StoredItem(row["id"], row["data"], count, row["expires_at"])
                for row, count in zip(expected, tries, strict=True)
            ]
            if list(items) != stored:
                self.wrong.append((name, after_id, max_items, max_bytes, items, expected))

        answer = ask(self.store.page, self.prefix + name, after_id, max_items, max_bytes)
        self.open.append(answer.addCallback(read))

    async def play(self, steps: list[tuple[Any, ...]]) -> None:
        for kind, *arguments in steps:
            if kind == "wait":
                await gatherResults(self.open)
            else:
                getattr(self, kind)(*arguments)
        await gatherResults(self.open)
        if self.wrong:
            raise AssertionError(self.wrong[0])
        await ask(self.store.page, "", 0, 1, 1)
        for name, rows in self.waiting.items():
            there = (len(rows), sum(len(row["data"]) for row in rows))
            if self.store.stock.of(self.prefix + name) != there:
                raise AssertionError((name, there, self.store.stock.of(self.prefix + name)))


_name = st.sampled_from(NAMES[:4])
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("append"),
            _name,
            st.lists(st.text("ab'\"\\%é\n", max_size=8), max_size=4),
            st.sampled_from([None, FAR, FAR + 0.5]),
        ),
        st.tuples(st.just("remove"), st.lists(st.integers(0, 30), max_size=4)),
        st.tuples(st.just("note_tries"), st.lists(st.integers(0, 30), max_size=4), st.integers(1, 9)),
        st.tuples(
            st.just("page"), _name, st.integers(0, 30), st.integers(0, 6), st.sampled_from([0, 5, 20, 1000])
        ),
        st.tuples(st.just("wait")),
    ),
    max_size=30,
)
