"""The file of an SQLite store: made for the broker's user alone, and taken for one broker alone."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from twisted.logger import Logger

from wsmb.errors import SettingError


class SqliteFile:
    """`path`, and the lock file beside it, which stays there when the broker has ended."""

    _log = Logger()

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock: int | None = None

    def take(self) -> None:
        """Make the file if there is none, and lock it for this broker alone. SettingError."""
        path = Path(self.path)
        if not self.path or not path.parent.is_dir():
            message = f"[database] path: there is no folder {path.parent}; make it or change path"
            raise SettingError(message)
        # Made here and not by SQLite, so that only the broker's user can ever read it.
        with suppress(FileExistsError):
            os.close(self._make(self.path, os.O_EXCL))
        # Not the file itself: to close it would drop SQLite's own locks on it.
        lock_path = os.path.realpath(self.path) + ".lock"
        self._lock = self._make(lock_path)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.let_go()
            message = (
                f"[database] path: another broker uses {self.path} (it has locked {lock_path});"
                " end that one or name another file"
            )
            raise SettingError(message) from None
        except OSError as error:
            self._log.warn(
                "{path} cannot be locked ({why}): see to it that no second broker uses this database",
                path=lock_path,
                why=error.strerror,
            )

    def let_go(self) -> None:
        """Let another broker have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def explain(self, error: sqlite3.Error) -> str:
        """What to tell the operator about this error at the start."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        remedy = {
            sqlite3.SQLITE_BUSY: "another program has locked it: end that first",
            sqlite3.SQLITE_NOTADB: "it is not an SQLite database: name another file",
            sqlite3.SQLITE_CANTOPEN: "name a file that the broker may read and write",
            sqlite3.SQLITE_READONLY: "give the broker the right to write it and its folder",
            sqlite3.SQLITE_FULL: "the disk is full: make room",
        }.get(code, "look at the file or name another")
        return f"[database] path: {self.path} cannot be used ({error}); {remedy}"

    def _make(self, path: str, flags: int = 0) -> int:
        try:
            return os.open(path, os.O_CREAT | os.O_RDWR | flags, 0o600)
        except FileExistsError:
            raise
        except OSError as error:
            message = (
                f"[database] path: {path} cannot be made ({error.strerror}); give the broker the right to"
            )
            raise SettingError(message) from None
