"""How many passwords are verified at a time: bcrypt needs a core for each, for a twentieth of a second."""

from __future__ import annotations

import os

MOST = 8


def passwords_at_once(cores: int) -> int:
    """As many as there are cores but for one, which the reactor has; two at least, so that one slow hash
    does not stop everybody's log-in.
    """
    return max(2, min(cores - 1, MOST))


PASSWORDS_AT_ONCE = passwords_at_once(
    len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
)
