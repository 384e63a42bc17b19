"""`wsmb import` of a database as the original left it, and a broker that goes on with it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

from tests.integration.broker_process import write_users
from tests.integration.keeping_case import MariaDBCase, PostgresqlCase
from tests.integration.test_cli import CommandCase
from tests.integration.test_original_table import ROWS, TABLE


class ImportTests(CommandCase, MariaDBCase):
    prefix = ""

    def setUp(self) -> None:
        super().setUp()
        self.query(TABLE)
        for row in ROWS:
            statement = "INSERT INTO data (channel, data, created) VALUES ('sms', %s, NOW())"
            self.server.query(statement, row, database=self.settings.name)
        self.here = self.folder()
        write_users(self.here, ".htpasswd")
        self.config = self.here / "config.ini"
        self.config.write_text(
            "[server]\nport=8888\nkeep_data=true\nnumber_of_receiver=1\n"
            f"{self.database_ini}password={self.settings.password}\n"
            "[credential]\nsource=file\ndata[]=.htpasswd\n"
        )

    def test_from_mariadb_into_a_file_and_on(self) -> None:
        before = self.query("SELECT * FROM data"), self.query("SHOW TABLES")
        new, database = self.here / "wsmb.ini", self.here / "new.sqlite3"
        argv = ("import", str(self.config), "--to", f"sqlite:///{database}", "--write", str(new))
        status, lines, errors = self.wsmb(0, *argv)
        self.assertEqual((status, errors), (0, []))
        self.assertIn(f"ok: {len(ROWS)} items copied, and are in sqlite:{database}", lines)
        self.assertNotIn(self.settings.password, "\n".join(lines))
        self.assertEqual((self.query("SELECT * FROM data"), self.query("SHOW TABLES")), before)
        broker = self.broker(new.read_text())
        self.assertEqual(self.receives(broker, len(ROWS), "sms"), [json.loads(row) for row in ROWS])
        self.assertEqual(len(self.query("SELECT * FROM data")), len(ROWS))

    def test_into_mariadb(self) -> None:
        url = f"mysql://{self.settings.username}@127.0.0.1:{self.settings.port}/{self.settings.name}"
        for said in (f"{len(ROWS)} items copied", "all of them were in"):
            status, lines, errors = self.wsmb(0, "import", str(self.config), "--to", f"{url}?prefix=new_")
            self.assertEqual((status, errors), (0, []))
            self.assertTrue(any(line.startswith(f"ok: {said}") for line in lines), lines)
        copied = self.query("SELECT channel, data FROM new_data ORDER BY data_id")
        self.assertEqual(list(copied), [("sms", row) for row in ROWS])

    def test_no_server(self) -> None:
        self.config.write_text(self.config.read_text().replace(f"port = {self.settings.port}", "port = 1"))
        status, lines, errors = self.wsmb(0, "import", str(self.config))
        self.assertEqual((status, errors), (1, []))
        self.assertTrue(lines[-1].startswith("wrong: "), lines)


class IntoPostgresqlTests(CommandCase, PostgresqlCase):
    def environ(self, port: int, password: str = "") -> dict[str, str]:
        return {**super().environ(port), **self.database_environment}

    def test_twice_and_a_broker_goes_on_with_it(self) -> None:
        here = self.folder()
        write_users(here, ".htpasswd")
        with closing(sqlite3.connect(here / "old")) as connection, connection:
            connection.execute("CREATE TABLE data (data_id INTEGER PRIMARY KEY, channel TEXT, data TEXT)")
            connection.executemany(
                "INSERT INTO data (channel, data) VALUES ('sms', ?)", [(row,) for row in ROWS]
            )
        config = here / "config.ini"
        config.write_text(
            "[server]\nkeep_data=true\n[database]\ndriver=sqlite\nname=old\nprefix=\n"
            "[credential]\nsource=file\ndata[]=.htpasswd\n"
        )
        settings = self.settings
        url = f"pgsql://{settings.username}@{settings.host}:{settings.port}/{settings.name}?prefix=mq_"
        for said in (f"{len(ROWS)} items copied", "all of them were in"):
            status, lines, errors = self.wsmb(0, "import", str(config), "--to", url)
            self.assertEqual((status, errors), (0, []))
            self.assertTrue(any(line.startswith(f"ok: {said}") for line in lines), lines)
        broker = self.keeping()
        self.assert_sent(broker, "sms", '"new"')
        expected = [*map(json.loads, ROWS), "new"]
        self.assertEqual(self.receives(broker, len(expected), "sms"), expected)
