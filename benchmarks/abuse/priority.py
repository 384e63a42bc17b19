"""Going before all else that runs on the machine, so that it is not measured as well."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def before_all_else(process_id: int, *, with_new_threads: bool = False) -> Iterator[bool]:
    """This process, and another one, in real time, and with it the threads that it makes from now on.

    Whether that is allowed: it takes root, or CAP_SYS_NICE.
    """
    policy = os.SCHED_RR | (0 if with_new_threads else os.SCHED_RESET_ON_FORK)
    is_allowed = False
    with suppress(PermissionError):
        os.sched_setscheduler(process_id, policy, os.sched_param(1))
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        is_allowed = True
    try:
        yield is_allowed
    finally:
        if is_allowed:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
