"""TLS to the databases: who the server is, is looked at before it gets the password."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from tests.contracts.store_contract import ask
from tests.integration.mariadb import MariaDB, mariadb
from tests.integration.postgresql import PostgreSQL, postgresql
from tests.support_tls import Authority
from wsmb.errors import SettingError
from wsmb.settings import DatabaseSettings, DatabaseTls, TlsCheck
from wsmb.store import open_store


class TlsMariaDB(MariaDB):
    """Whose certificate names only `host`; it says that it has TLS unless it is told not to."""

    host, has_tls = "127.0.0.1", True

    def _options(self) -> list[str]:
        if not self.has_tls:
            return [*super()._options(), "--skip-ssl"]
        key, certificate = Authority(self.folder).write("database", hosts=(self.host,))
        return [*super()._options(), f"--ssl-cert={certificate}", f"--ssl-key={key}"]


class TlsPostgreSQL(PostgreSQL):
    """The same."""

    host, has_tls = "127.0.0.1", True

    def _options(self) -> list[str]:
        if not self.has_tls:
            return super()._options()
        key, certificate = Authority(self.folder).write("database", hosts=(self.host,))
        if self._user:
            os.chown(key, self._user.pw_uid, self._user.pw_gid)
        key.chmod(0o600)
        return [
            *super()._options(),
            "--ssl=on",
            f"--ssl_cert_file={certificate}",
            f"--ssl_key_file={key}",
        ]


class MariaDBTlsTests(TestCase):
    timeout = 120
    kind: type[TlsMariaDB] | type[TlsPostgreSQL] = TlsMariaDB

    def setUp(self) -> None:
        self.need()
        self.server = self.kind()
        self.addCleanup(self.server.remove)
        self.server.install()

    def need(self) -> None:
        mariadb()

    def serve(self, host: str = "127.0.0.1", *, has_tls: bool = True) -> None:
        self.server.host, self.server.has_tls = host, has_tls
        self.server.start()
        self.settings = self.server.new_database(over_tcp=True)

    def with_tls(self, check: TlsCheck, ca_file: str | None = None) -> DatabaseSettings:
        file = next(self.server.folder.glob("ca of *.pem"), "") if ca_file is None else ca_file
        return replace(self.settings, tls=DatabaseTls(check, str(file)))

    async def opens(self, settings: DatabaseSettings) -> bool:
        try:
            store = open_store(settings, reactor)
        except SettingError as problem:
            text = str(problem)
            self.assertTrue(text.startswith("[database] url: TLS with 127.0.0.1:"), text)
            self.assertNotIn(self.settings.password, text)
            self.assertNotIn("\n", text)
            return False
        ids = await ask(store.append, "sms", [b"1"])
        await ask(store.close)
        return len(ids) == 1

    def strangers_file(self) -> str:
        folder = Path(self.mktemp())
        folder.mkdir()
        return str(Authority(folder).file.absolute())

    async def test_the_right_server(self) -> None:
        self.serve()
        for check in (TlsCheck.NAME, TlsCheck.AUTHORITY, TlsCheck.NOTHING):
            self.assertTrue(await self.opens(self.with_tls(check)), check)

    async def test_another_authority(self) -> None:
        self.serve()
        file = self.strangers_file()
        for check in (TlsCheck.NAME, TlsCheck.AUTHORITY):
            self.assertFalse(await self.opens(self.with_tls(check, file)), check)

    async def test_another_name(self) -> None:
        self.serve("database.example")
        self.assertFalse(await self.opens(self.with_tls(TlsCheck.NAME)))
        self.assertTrue(await self.opens(self.with_tls(TlsCheck.AUTHORITY)))

    async def test_a_server_without_tls(self) -> None:
        self.serve(has_tls=False)
        file = self.strangers_file()
        for check in (TlsCheck.NAME, TlsCheck.NOTHING):
            self.assertFalse(await self.opens(self.with_tls(check, file)), check)
        self.assertTrue(await self.opens(self.settings))


class PostgresqlTlsTests(MariaDBTlsTests):
    kind = TlsPostgreSQL

    def need(self) -> None:
        postgresql()
