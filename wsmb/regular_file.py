"""Reads files that people have named: regular ones, and nothing that could wait for ever for its content."""

from __future__ import annotations

import os
import stat


def read_regular(path: str) -> bytes:
    """All of it. Raises OSError, also for a FIFO or a device, which would stop whoever reads it."""
    # A FIFO without a writer is opened at once then; of regular files it changes nothing.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "not a regular file")
        return file.read()
