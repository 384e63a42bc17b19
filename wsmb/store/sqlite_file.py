"""The file of an SQLite store: made for the broker's user alone, and taken for one broker alone."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from twisted.logger import Logger

from wsmb.errors import SettingError
from wsmb.stock import Disk

_CHECK = "PRAGMA quick_check(1)"
_CHECK_TIMEOUT_S = 5.0
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
# Another program has left a transaction half done; or the file is not ours, which opening it will tell.
_NOT_TO_READ_ONLY = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
# The journals first: beside a new file they would be taken for that one's.
_ENDINGS = ("-journal", "-wal", "-shm", "")
_MAGIC = b"SQLite format 3\0"


class SqliteFile:
    """`path`, and the lock file beside it, which stays there when the broker has ended."""

    _log = Logger()

    def __init__(self, path: str) -> None:
        self.path = path
        self._real = os.path.realpath(path)
        self._lock: int | None = None

    def take(self) -> None:
        """Make the file if there is none, and lock it for this broker alone. SettingError."""
        path = Path(self.path)
        if not self.path or not path.parent.is_dir():
            message = f"[database] path: there is no folder {path.parent}; make it or change path"
            raise SettingError(message)
        # Not the file itself: to close it would drop SQLite's own locks on it.
        lock_path = self._real + ".lock"
        # Once a broker has used it, what is no database any more is a damaged one.
        if not os.path.exists(lock_path):
            self._refuse_other_files()
        self._make()
        self._lock = self._open_own(lock_path)
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

    def disk(self, unused_bytes: int) -> Disk:
        """The disk that it is on; `unused_bytes` of the file itself hold nothing. OSError."""
        found = os.statvfs(self._real)
        return Disk(found.f_bavail * found.f_frsize + unused_bytes, found.f_blocks * found.f_frsize)

    def check(self) -> None:
        """Look the file through; if it is damaged, move it aside and make a new one.

        sqlite3.Error if it cannot be read for another reason, SettingError if it cannot be moved.
        """
        try:
            # Only to read: to close it would else bring the journal into what is damaged.
            there = sqlite3.connect(f"{Path(self._real).as_uri()}?mode=ro", _CHECK_TIMEOUT_S, uri=True)
            with closing(there) as connection:
                ((found,),) = connection.execute(_CHECK)
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in _NOT_TO_READ_ONLY:
                return
            if code not in _DAMAGE:
                raise
            found = str(error)
        if found != "ok":
            self._move_aside(" ".join(found.split()))

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

    def _move_aside(self, finding: str) -> None:
        new = f"{self._real}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        while any(os.path.lexists(new + ending) for ending in _ENDINGS):
            new += "-2"
        size_bytes = os.path.getsize(self._real)
        try:
            for ending in _ENDINGS:
                with suppress(FileNotFoundError):
                    os.rename(self._real + ending, new + ending)
        except OSError as error:
            message = (
                f"[database] path: {self.path} is damaged ({finding}) and cannot be renamed"
                f" ({error.strerror}); give the broker the right to, or rename it"
            )
            raise SettingError(message) from None
        self._make()
        self._log.critical(
            "THE DATABASE WAS DAMAGED ({finding}): what waited in it is not delivered now. All {size_bytes}"
            " bytes of it are kept in {new}, the broker goes on with a new file {path}. To save what can"
            " be saved: sqlite3 '{new}' .recover | sqlite3 recovered.sqlite3, and copy the rows from there",
            finding=finding,
            size_bytes=size_bytes,
            new=new,
            path=self.path,
        )

    def _refuse_other_files(self) -> None:
        with suppress(OSError), open(self._real, "rb") as file:
            if file.read(len(_MAGIC)) not in (b"", _MAGIC):
                message = (
                    f"[database] path: {self.path} cannot be used: it is not an SQLite database:"
                    " name another file"
                )
                raise SettingError(message)

    def _make(self) -> None:
        # Here and not by SQLite, so that only the broker's user can ever read it.
        with suppress(FileExistsError):
            os.close(self._open_own(self._real, os.O_EXCL))

    def _open_own(self, path: str, flags: int = 0) -> int:
        try:
            return os.open(path, os.O_CREAT | os.O_RDWR | flags, 0o600)
        except FileExistsError:
            raise
        except OSError as error:
            message = (
                f"[database] path: {path} cannot be made ({error.strerror}); give the broker the right to"
            )
            raise SettingError(message) from None
