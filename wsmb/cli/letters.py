"""Dead letters: what each says, what it is called, which of them somebody means. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import msgspec

NAME_CHARS = 12
LEAST_NAME_CHARS = 4
BEGINNING_CHARS = 60


class Content(msgspec.Struct, frozen=True):
    """`{"item":…,"channel":"sms","reason":"rejected","deliveries":3,"receiver":"qa","time_stamp":"…"}`."""

    item: msgspec.Raw
    channel: str
    reason: str
    deliveries: int
    receiver: str
    time_stamp: str


_decode = msgspec.json.Decoder(Content).decode


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter as it came. `number` is that of its delivery, by which it is acknowledged."""

    text: bytes
    content: Content
    number: int
    digest: str
    """Of all that it says: the same whenever it comes, and whatever comes or goes beside it."""

    @property
    def name(self) -> str:
        """What people call it by."""
        return self.digest[:NAME_CHARS]

    @property
    def message_id(self) -> str:
        """Under which its item is sent again."""
        return f"dead-letter:{self.digest}"

    def row(self) -> bytes:
        """Its name, time, reason, deliveries, receiver, and how its item begins, with tabs between."""
        content = self.content
        item = bytes(content.item).decode("utf-8", "replace")
        if len(item) > BEGINNING_CHARS:
            item = item[: BEGINNING_CHARS - 1] + "…"
        cells = (
            self.name,
            content.time_stamp,
            content.reason,
            str(content.deliveries),
            content.receiver,
            item,
        )
        # A letter is no place from which to talk to a terminal.
        return "\t".join(map(_printable, cells)).encode() + b"\n"

    def pretty(self) -> bytes:
        """All of it, as JSON that is easy to read."""
        return msgspec.json.format(self.text, indent=2) + b"\n"


def letter(line: bytes, number: int) -> Letter | None:
    """The letter in `line`, which is compact JSON; None if it is no dead letter."""
    try:
        content = _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return Letter(line, content, number, blake2b(line, digest_size=16).hexdigest())


def choose(letters: Sequence[Letter], words: Iterable[str]) -> tuple[list[Letter], list[str]]:
    """The letters that `words`, beginnings of names, mean, and what is wrong with the other words.

    One letter for each word: of letters that say the same, a word that is given twice means two.
    """
    chosen: list[Letter] = []
    problems: list[str] = []
    for word in words:
        found = [one for one in letters if one.name.startswith(word)]
        free = [one for one in found if one not in chosen]
        if len({one.digest for one in found}) > 1:
            problems.append(f"{word} is the beginning of several: give more of it")
        elif not free:
            problems.append(f"{word} is not there")
        else:
            chosen.append(free[0])
    return chosen, problems


def twins(letters: Iterable[Letter]) -> set[str]:
    """The digests of letters that say the same as another one."""
    counts = Counter(one.digest for one in letters)
    return {digest for digest, count in counts.items() if count > 1}


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
