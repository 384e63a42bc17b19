"""What a method of a path is: which parts of a path may be anything, and what it takes to ask."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from wsmb.http.call import Call

CHANNEL, CONNECTION, FILE = "{channel}", "{connection}", "{file}"
"""In a path: any one part."""
_AFTER = ((("channels",), CHANNEL), (("admin", "connections"), CONNECTION), (("page",), FILE))


class Action(NamedTuple):
    """What one method of one path does."""

    carry_out: Callable[[Call], None]
    arguments: Collection[str] = ()
    needs_user: bool = True
    is_admin: bool = False
    is_last: bool = False
    """Whether it is carried out while the broker stops, too."""


Routes = Mapping[tuple[str, ...], Mapping[str, Action]]


def pattern(path: Sequence[str]) -> tuple[str, ...]:
    """The path as it stands in Routes: `("channels", "{channel}")` for `("channels", "sms")`."""
    for before, name in _AFTER:
        count = len(before)
        if tuple(path[:count]) == before and len(path) > count:
            return (*before, name, *path[count + 1 :])
    return tuple(path)
