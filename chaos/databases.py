"""The databases that a broker under test keeps its items in."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from chaos.power import Disk
from tests.integration.mariadb import mariadb
from tests.integration.postgresql import postgresql
from wsmb.settings import DatabaseSettings

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


class Server(Protocol):
    """What MariaDB and PostgreSQL of the tests have in common."""

    def start(self) -> None:
        """Returns when it answers."""

    def stop(self, how: signal.Signals) -> None:
        """Returns when it is gone."""

    def freeze(self) -> None:
        """It answers nothing."""

    def thaw(self) -> None:
        """It goes on."""

    def query(self, statement: str, *, database: str = ...) -> Any:
        """The rows."""

    def new_database(self, over_tcp: bool = False) -> DatabaseSettings:
        """An empty one."""


class ServerDatabase:
    """A database of its own on one of this process's servers, which can be killed and frozen.

    `crash` is the signal that ends all of the server's processes at once.
    """

    def __init__(self, server: Server, crash: signal.Signals) -> None:
        self._server = server
        self._crash = crash
        self._is_up, self._is_frozen = True, False
        settings = server.new_database(over_tcp=True)
        self._name = settings.name
        self.ini = (
            f"[database]\ndriver = {settings.driver}\nhost = {settings.host}\nport = {settings.port}\n"
            f"name = {settings.name}\nprefix = mq_\nusername = {settings.username}\n{_LIMIT}"
        )
        self.environment: Mapping[str, str] = {"WSMB_DATABASE_PASSWORD": settings.password}

    def kill(self) -> None:
        """As a crash would."""
        self._is_up = False
        self._server.stop(self._crash)

    def start(self) -> None:
        """After `kill`; returns when it answers."""
        self._server.start()
        self._is_up = True

    def freeze(self) -> None:
        """It keeps its connections and answers nothing, until `thaw`."""
        self._is_frozen = True
        self._server.freeze()

    def thaw(self) -> None:
        """It goes on."""
        self._is_frozen = False
        self._server.thaw()

    def rows(self) -> int:
        """See Database.rows."""
        return int(self._server.query(_COUNT, database=self._name)[0][0])

    def close(self) -> None:
        """See Database.close: the server is to serve the next one."""
        if self._is_frozen:
            self.thaw()
        if not self._is_up:
            self.start()
        self._server.query(f"DROP DATABASE {self._name}")


def new_database(kind: str, folder: Path, disk: Disk | None) -> Database:
    """An empty one: `sqlite`, `mariadb` or `postgresql`. SkipTest if its server is not installed."""
    if kind == "mariadb":
        return ServerDatabase(mariadb(), signal.SIGKILL)
    if kind == "postgresql":
        return ServerDatabase(postgresql(), signal.SIGQUIT)
    return SqliteFile(folder, disk)
