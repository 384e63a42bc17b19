"""The corpus of hostile and of ordinary input in tests/corpus, and what chance makes of it.

`tests/corpus/README.md` says what the names of its files mean. WSMB_TEST_MUTATIONS is how many mutations in
each of two rounds, WSMB_TEST_SEED what repeats them; `make fuzz` sets both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

CORPUS = Path(__file__).parent / "corpus"
MOST_BYTES = 100_000
MUTATIONS = int(os.environ.get("WSMB_TEST_MUTATIONS", "1500"))
SEED = os.environ.get("WSMB_TEST_SEED", "1")
_ODD_BYTES = b'\x00\x01\x7d\x7e\x7f\x80\x85\xfd\xfe\xff\r\n\t "\\{}[]:,;=$%'
_ODD_LENGTHS = (0, 1, 125, 126, 127, 65_535, 65_536, 1_048_576, 1_048_577, 2**31, 2**63 - 1, 2**63, 2**64 - 1)


class Case(NamedTuple):
    """Something to send, or to read."""

    name: str
    """Enough to make it again: the file, and the number of the mutation under the seed."""
    data: bytes


def corpus(kind: str) -> list[Case]:
    """The files of one folder of the corpus."""
    return [Case(f"{kind}/{file.name}", file.read_bytes()) for file in sorted((CORPUS / kind).iterdir())]


def expected(case: Case) -> str:
    """What the name of a file of the corpus begins with: `401` of `requests/401-bearer.http`."""
    return case.name.partition("/")[2].partition("-")[0]


def mutations(kind: str, count: int, seed: str) -> Iterator[Case]:
    """`count` cases, each made of a file of the corpus. The same seed gives the same ones."""
    cases = corpus(kind)
    for number in range(count):
        chance = Random(f"{seed} {kind} {number}")
        name, data = chance.choice(cases)
        for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
            data = chance.choice(_WAYS)(data or b"\0", chance)[:MOST_BYTES]
        yield Case(f"{name}, mutation {number} of seed {seed}", data)


def _place(data: bytes, chance: Random) -> int:
    # The first bytes of a frame say what it is.
    return chance.randrange(min(len(data), chance.choice((2, 16, len(data)))))


def _flip(data: bytes, chance: Random) -> bytes:
    place = _place(data, chance)
    return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def _odd_byte(data: bytes, chance: Random) -> bytes:
    place = _place(data, chance)
    return data[:place] + bytes([chance.choice(_ODD_BYTES)]) + data[place + chance.randrange(2) :]


def _cut_the_end(data: bytes, chance: Random) -> bytes:
    return data[: _place(data, chance)]


def _cut_out(data: bytes, chance: Random) -> bytes:
    place = _place(data, chance)
    return data[:place] + data[place + chance.randrange(1, 20) :]


def _double(data: bytes, chance: Random) -> bytes:
    start = _place(data, chance)
    end = start + chance.randrange(1, 200)
    return data[:end] + data[start:end] * chance.choice((1, 1, 1, 10)) + data[end:]


def _twice(data: bytes, chance: Random) -> bytes:
    return data + data


def _length(data: bytes, chance: Random) -> bytes:
    """Another length in a frame's header."""
    length = chance.choice(_ODD_LENGTHS)
    if chance.random() < 0.3:
        return data[:1] + bytes([chance.choice((0, 0x80)) | length & 0x7F]) + data[2:]
    size, code = chance.choice(((2, 0xFE), (8, 0xFF)))
    return data[:1] + bytes([code]) + (length % 256**size).to_bytes(size, "big") + data[2:]


def _first_byte(data: bytes, chance: Random) -> bytes:
    return bytes([chance.randrange(256)]) + data[1:]


def _line(data: bytes, chance: Random) -> bytes:
    """Lines in another order, one of them gone or there twice."""
    lines = data.split(b"\r\n")
    line = lines.pop(chance.randrange(len(lines)))
    for _ in range(chance.randrange(3)):
        lines.insert(chance.randrange(len(lines) + 1), line)
    return b"\r\n".join(lines)


_WAYS: tuple[Callable[[bytes, Random], bytes], ...] = (
    *(_flip, _odd_byte, _cut_the_end, _cut_out, _double, _twice, _length, _first_byte, _line),
)
