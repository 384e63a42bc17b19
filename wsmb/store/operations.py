"""What can be asked of a store, as the writer carries it: one object for each call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from wsmb.errors import Code, StoreError
from wsmb.interfaces import StoredItem
from wsmb.stock import Rows, Stock

NO_ROOM = StoreError(Code.UNAVAILABLE, "the disk has too little room left")


@dataclass(slots=True, eq=False)
class Append:
    """MessageStore.append."""

    channel: str
    items: Sequence[bytes]
    done: Callable[[Sequence[int] | StoreError], None]
    expires_at: float | None = None
    key: bytes | None = None
    is_new: bool = False
    """Whether it is to be refused where the disk has too little room left."""
    refusal: StoreError | None = None
    stock: Stock | None = None
    """Where it was counted as coming."""
    ids: Sequence[int] = ()
    texts: Sequence[str] = ()
    """The items as they go into the database, from when they go."""
    stored: bool = False
    """An earlier try has been committed, though it did not look so then."""
    size_bytes: int = field(init=False)
    """Data it may move, for the bound of a batch."""

    def __post_init__(self) -> None:
        self.size_bytes = sum(map(len, self.items))

    @property
    def rows(self) -> int:
        """Rows it may touch, for the bound of a batch."""
        return len(self.items) or 1

    def report(self, error: StoreError | None) -> None:
        """Tell the caller how it went."""
        stock = self.stock
        if stock is not None:
            stock.finish(self, () if error else self.ids, sum(map(len, self.texts)))
            if error is NO_ROOM:
                stock.no_room(self.channel)
        self.done(error or self.ids)


@dataclass(slots=True, eq=False)
class Remove:
    """MessageStore.remove. It has nobody to tell."""

    ids: Sequence[int]
    stock: Stock | None = None
    """Where what is gone is counted."""
    refusal: StoreError | None = None
    gone: Sequence[Rows] = ()
    """What it has removed, together with those that went along."""
    size_bytes: int = 0

    @property
    def rows(self) -> int:
        """Rows it may touch, for the bound of a batch."""
        return len(self.ids)

    def report(self, error: StoreError | None) -> None:
        """What could not be removed is delivered again, which is allowed."""
        if error is None and self.stock is not None:
            self.stock.removed(self.gone)


@dataclass(slots=True, eq=False)
class NoteTries:
    """MessageStore.note_tries. It has nobody to tell."""

    tries: Mapping[int, int]
    refusal: StoreError | None = None
    size_bytes: int = 0

    @property
    def rows(self) -> int:
        """Rows it may touch, for the bound of a batch."""
        return len(self.tries)

    def report(self, error: StoreError | None) -> None:
        """Nothing: it is noted again when it is handed out again."""


@dataclass(slots=True, eq=False)
class Page:
    """MessageStore.page."""

    channel: str
    after_id: int
    max_items: int
    max_bytes: int
    done: Callable[[Sequence[StoredItem] | StoreError], None]
    refusal: StoreError | None = None
    found: list[StoredItem] = field(default_factory=list)
    hidden: frozenset[int] = frozenset()
    """Items that were stored though they were asked for later, or are there though they were removed."""

    @property
    def rows(self) -> int:
        """Rows it may touch, for the bound of a batch."""
        return self.max_items

    @property
    def size_bytes(self) -> int:
        """Data it may move, for the bound of a batch."""
        return self.max_bytes

    def report(self, error: StoreError | None) -> None:
        """Tell the caller what was found."""
        self.done(error or self.found)


@dataclass(slots=True, eq=False)
class Ages:
    """MessageStore.ages."""

    channels: Sequence[str]
    done: Callable[[Mapping[str, float] | StoreError], None]
    found: Mapping[str, float] = field(default_factory=dict)
    refusal: StoreError | None = None
    size_bytes: int = 0

    @property
    def rows(self) -> int:
        """Rows it may touch, for the bound of a batch."""
        return len(self.channels)

    def report(self, error: StoreError | None) -> None:
        """Tell the caller what was found."""
        self.done(error or self.found)


@dataclass(slots=True, eq=False)
class Check:
    """MessageStore.check."""

    done: Callable[[bool], None]
    refusal: StoreError | None = None
    rows: int = 1
    size_bytes: int = 0

    def report(self, error: StoreError | None) -> None:
        """Tell the caller whether the database lives."""
        self.done(error is None)


@dataclass(slots=True, eq=False)
class Sweep:
    """Forget one portion of what has expired, of old keys and of what belongs to no item any more."""

    now: float
    done: Callable[[Sweep], None]
    orphans_after: int | None = None
    """From which id on to look for rows whose item is gone; None: not at all."""
    next_orphans_after: int | None = None
    """In the end, where the next portion is to go on with that."""
    more: bool = False
    """In the end, whether another portion is to come."""
    gone: Sequence[Rows] = ()
    """In the end, what it has removed."""
    refusal: StoreError | None = None
    rows: int = 2_000
    size_bytes: int = 0

    def report(self, error: StoreError | None) -> None:
        """Say what is left to do; after an error nothing, for now."""
        if error is not None:
            self.more, self.gone = False, ()
        self.done(self)


@dataclass(slots=True, eq=False)
class Count:
    """Count one portion of what waits."""

    after_id: int
    most: int
    """How many rows to look at."""
    done: Callable[[Count, StoreError | None], None]
    found: Sequence[Rows] = ()
    last_id: int | None = None
    """The last row's id; None if there are no more rows."""
    refusal: StoreError | None = None
    rows: int = 2_000
    size_bytes: int = 0

    def report(self, error: StoreError | None) -> None:
        """Say what was found."""
        self.done(self, error)


Operation = Append | Remove | NoteTries | Page | Ages | Check | Sweep | Count


@dataclass(slots=True, eq=False)
class Batch:
    """Operations that go in one transaction, in their order."""

    operations: list[Operation]
    unsure: bool = False
    """An earlier try may have been committed: its end was not seen."""
    collisions: int = 0
    """How many tries in a row found an id taken."""
    next_id: int = 0
    """The first id above those of its appends."""
    has_waited: bool = False
    """It comes from what waited for room."""

    @property
    def appends(self) -> list[Append]:
        """The appends that are to be stored."""
        return [op for op in self.operations if type(op) is Append and not op.stored and not op.refusal]

    def number(self, next_id: int) -> None:
        """Give its appends ids from `next_id` on. Nothing has been stored under these."""
        for append in self.appends:
            append.ids = list(range(next_id, next_id + len(append.items)))
            next_id += len(append.items)
        self.next_id = next_id
        self.unsure = False

    def keep_stored(self) -> None:
        """An earlier try is in the database: only what it removed and read is done again."""
        later: list[int] = []
        for operation in reversed(self.operations):
            if type(operation) is Append and not operation.refusal:
                operation.stored = True
                later += operation.ids
            elif type(operation) is Page:
                operation.hidden |= frozenset(later)
