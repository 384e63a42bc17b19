"""A progress bar on standard error, if that is a terminal and tqdm is there (extra `bench`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from wsmb.bench.rounds import Progress, no_progress

_FORMAT = "{desc} {percentage:3.0f} %|{bar}| {elapsed}{postfix}"


@contextmanager
def progress_bar(stream: TextIO, rounds: int) -> Iterator[Progress]:
    """Show how far the `rounds` are on `stream`; what it yields is to be told of each in turn."""
    tqdm = _tqdm() if stream.isatty() else None
    if tqdm is None:
        yield no_progress
        return
    with tqdm(total=1.0, file=stream, desc="wsmb bench", bar_format=_FORMAT, leave=False) as bar:
        yield _Shown(bar, rounds)


class _Shown:
    def __init__(self, bar: Any, rounds: int) -> None:
        self._bar = bar
        self._rounds = rounds
        self._done = 0

    def __call__(self, part: float, deliveries: int) -> None:
        self._bar.set_postfix_str(f"{deliveries:,} deliveries", refresh=False)
        self._bar.n = min(1.0, (self._done + part) / self._rounds)
        self._bar.refresh()
        self._done += part >= 1


def _tqdm() -> Any:
    try:
        from tqdm import tqdm  # noqa: PLC0415 (not installed everywhere)
    except ImportError:
        return None
    return tqdm
