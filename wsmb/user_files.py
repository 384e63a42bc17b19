"""The htpasswd files that the settings name: reading them, and seeing that they have changed."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import NamedTuple

from wsmb import htpasswd
from wsmb.errors import SettingError
from wsmb.htpasswd import Entries, Users
from wsmb.regular_file import read_regular
from wsmb.stamps import Stamp, stamp

_SETTING = "htpasswd (--htpasswd or [credential])"
_LINES = "the lines in the configuration"
_MAX_SHOWN_LINES = 5

Stamps = tuple[Stamp, ...]


class Reading(NamedTuple):
    """What the files said at one time."""

    users: Users
    stamps: Stamps
    """Taken before the files were read: a change in between is seen at the next look."""
    passed_over: tuple[str, ...]
    """For each file with bad lines one text, without anything of their content."""


class UserFiles:
    """htpasswd files, and `user:hash` lines behind them; the first line of a user counts."""

    def __init__(
        self,
        files: Sequence[str],
        lines: Sequence[str] = (),
        read_file: Callable[[str], bytes] = read_regular,
    ) -> None:
        self._files = tuple(files)
        self._lines = tuple(lines)
        self._read_file = read_file

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UserFiles) and self._all == other._all

    def __hash__(self) -> int:
        return hash(self._all)

    @property
    def _all(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self._files, self._lines

    def stamps(self) -> Stamps:
        """What differs once a file has been changed, replaced, removed or made readable."""
        return tuple(map(stamp, self._files))

    def read(self) -> Reading:
        """Read all of them; SettingError if one cannot be read or has no user who can log in. Blocks."""
        stamps = self.stamps()
        texts = {file: self._entries(file) for file in self._files}
        if self._lines:
            texts[_LINES] = htpasswd.parse("\n".join(self._lines).encode("utf-8", "surrogatepass"))
        if not texts:
            raise SettingError(f"{_SETTING}: no htpasswd file is given; make one: wsmb passwd FILE USER")
        for place, entries in texts.items():
            if not entries.has_users:
                raise _unusable(place, "no valid user: " + (_bad_lines(entries) or "it is empty"))
        passed_over = tuple(f"{place}: {_bad_lines(one)}" for place, one in texts.items() if one.bad_lines)
        return Reading(htpasswd.merge(texts.values()), stamps, passed_over)

    def _entries(self, file: str) -> Entries:
        try:
            return htpasswd.parse(self._read_file(file))
        except FileNotFoundError:
            raise _unusable(file, "no such file") from None
        except OSError as error:
            why = error.strerror or "cannot be read"
            remedy = "name a file that the broker's own user may read"
            raise SettingError(f"{_SETTING}: {file}: {why}; {remedy}") from None


def _unusable(place: str, why: str) -> SettingError:
    file = "FILE" if place == _LINES else shlex.quote(place)
    return SettingError(f"{_SETTING}: {place}: {why}; make a user: wsmb passwd {file} USER")


def _bad_lines(entries: Entries) -> str:
    shown = [f"line {bad.number}: {bad.reason}" for bad in entries.bad_lines[:_MAX_SHOWN_LINES]]
    further = len(entries.bad_lines) - len(shown)
    return "; ".join([*shown, f"and {further} further lines"] if further else shown)
