"""The databases that a broker under test keeps its items in."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Protocol

from chaos.power import Disk
from tests.integration.mariadb import MariaDB

_COUNT = "SELECT COUNT(*) FROM mq_data"
_LIMIT = "limit = 50\n"


class Database(Protocol):
    """What the broker has to be told, and what can be asked when it does not run."""

    @property
    def ini(self) -> str:
        """A section of the broker's configuration file."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What else it has to have."""

    def rows(self) -> int:
        """How many items are stored."""

    def close(self) -> None:
        """End what runs."""


class SqliteFile:
    """A file in `folder`, or on a disk whose power can be cut."""

    def __init__(self, folder: Path, disk: Disk | None) -> None:
        self._path = (disk.files if disk is not None else folder) / "kept.sqlite3"
        self.ini = f"[database]\ndriver = sqlite\nname = {self._path}\nprefix = mq_\n{_LIMIT}"
        self.environment: Mapping[str, str] = disk.environment if disk is not None else {}

    def rows(self) -> int:
        """See Database.rows."""
        with closing(sqlite3.connect(self._path)) as connection:
            return int(connection.execute(_COUNT).fetchone()[0])

    def close(self) -> None:
        """See Database.close."""


class MariaDBServer:
    """A server of its own, which can be killed and frozen."""

    def __init__(self) -> None:
        self.server = MariaDB()
        try:
            self.server.install()
            self.server.start()
            settings = self.server.new_database(over_tcp=True)
        except BaseException:
            self.server.remove()
            raise
        self._name = settings.name
        self.ini = (
            f"[database]\ndriver = mysql\nhost = {settings.host}\nport = {settings.port}\n"
            f"name = {settings.name}\nprefix = mq_\nusername = {settings.username}\n{_LIMIT}"
        )
        self.environment: Mapping[str, str] = {"WSMB_DATABASE_PASSWORD": settings.password}

    def kill(self) -> None:
        """As a crash would."""
        self.server.stop(signal.SIGKILL)

    def rows(self) -> int:
        """See Database.rows."""
        return int(self.server.query(_COUNT, database=self._name)[0][0])

    def close(self) -> None:
        """See Database.close."""
        self.server.remove()
