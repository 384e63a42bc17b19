"""Brokers that keep messages, in each kind of database that is on the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import BrokerProcess
from tests.integration.mariadb import mariadb
from tests.integration.postgresql import postgresql
from tests.integration.raw_client import RawClient, command


class KeepingCase(BrokerCase):
    """A test has one database, for all its brokers."""

    database_ini = ""
    database_environment: Mapping[str, str] = {}

    def keeping(self, ini: str = "", keep_data: str = "true") -> BrokerProcess:
        """A running broker on the test's database."""
        return self.broker(
            ini + self.database_ini, keep_data=keep_data, extra_environment=self.database_environment
        )

    def newcomer(self, broker: BrokerProcess, channel: str | int) -> RawClient:
        """A connection that has just asked for a channel on which something may wait."""
        client = self.client(broker)
        client.send_text(command("receive-message", channel))
        return client

    def rows(self, channel: str) -> list[str]:
        """The `data` column of what waits on the channel, oldest first."""
        rows = self.query("SELECT channel, data FROM mq_data ORDER BY data_id")
        return [data for name, data in rows if name == channel]

    def query(self, statement: str) -> Any:
        """The rows that a statement gives, from outside of the broker."""
        raise NotImplementedError


class SqliteCase(KeepingCase):
    """Keeps in an SQLite file."""

    def setUp(self) -> None:
        self.file = self.folder() / "kept.sqlite3"
        self.database_ini = f"\n[database]\ndriver = sqlite\nname = {self.file}\nprefix = mq_\nlimit = 10\n"

    def query(self, statement: str) -> Any:
        with closing(sqlite3.connect(self.file, isolation_level=None, timeout=10)) as connection:
            return connection.execute(statement).fetchall()


class MariaDBCase(KeepingCase):
    """Keeps in a MariaDB server of the tests' own. Skipped where there is none."""

    prefix = "mq_"

    def setUp(self) -> None:
        self.server = mariadb()
        self.settings = settings = self.server.new_database(over_tcp=True)
        # As the original's config.ini has it.
        self.database_ini = (
            f"\n[database]\ndriver = mysql\nhost = {settings.host}\nport = {settings.port}\n"
            f"name = {settings.name}\nprefix = {self.prefix}\nusername = {settings.username}\nlimit = 10\n"
        )
        self.database_environment = {"WSMB_DATABASE_PASSWORD": settings.password}

    def query(self, statement: str) -> Any:
        return self.server.query(statement, database=self.settings.name)


class PostgresqlCase(KeepingCase):
    """Keeps in a PostgreSQL server of the tests' own. Skipped where there is none."""

    def setUp(self) -> None:
        self.server = postgresql()
        self.settings = settings = self.server.new_database(over_tcp=True)
        url = f"pgsql://{settings.username}@{settings.host}:{settings.port}/{settings.name}"
        self.database_ini = f"\n[database]\nurl = {url}\nlimit = 10\n"
        self.database_environment = {"WSMB_DATABASE_PASSWORD": settings.password}

    def query(self, statement: str) -> Any:
        return self.server.query(statement, database=self.settings.name)
