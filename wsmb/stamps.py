"""Whether a file has changed, told without reading it."""

from __future__ import annotations

import os

Stamp = tuple[int, ...]


def stamp(file: str) -> Stamp:
    """What differs once a file has been changed, replaced, removed or made readable."""
    try:
        found = os.stat(file)
    except (OSError, ValueError) as error:
        return (getattr(error, "errno", None) or 0,)
    # ctime, too: chmod and `cp -p` leave the other three as they are.
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
