"""Tests for `wsmb import`: what it says of the original's files, and that it copies all or nothing."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from wsmb.cli.main import main
from wsmb.cli.waiting_rows import RefusedError, Row, copy
from wsmb.config import SettingsSource
from wsmb.settings import DatabaseSettings, ReceiverChoice, Settings

CONFIG = """\
[server]
port=8888
path=/ws
number_of_receiver=-2
keep_data={keep_data}
delay_send=30
[database]
driver=sqlite
host=localhost
name=old.sqlite3
prefix=
username=root
password="a;b'c"
limit=10
[credential]
source=file
data[]=.htpasswd
[secret]
anything=x
"""
# qa and alice have the kinds of hashes that the original knows; carol's is of another kind.
USERS = """\
qa:$apr1$L3VOojng$Fld3.46EMD4MixS..Gg681
bob:plain text
alice:{SHA}mi768OhiFE75ctDBzUasjWiuqGc=
carol:DYXtTxrIgvR9Q
"""
TABLE = """
CREATE TABLE data (data_id INTEGER PRIMARY KEY AUTOINCREMENT, channel varchar(100), data longtext,
created datetime)"""
GOOD = [("sms", '{"n":1,"text":"h\\u00e9"}'), ("SMS", "2"), ("sms", '"três"'), ("sms", "[4]")]
BAD = [("sms", "{half"), (None, "1"), ("x" * 101, "1")]


class ImportCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.config = self.folder / "config.ini"
        self.original()
        (self.folder / ".htpasswd").write_text(USERS)
        self.old = self.folder / "old.sqlite3"
        with closing(sqlite3.connect(self.old)) as connection, connection:
            connection.execute(TABLE)
            connection.executemany("INSERT INTO data (channel, data) VALUES (?, ?)", [*GOOD, *BAD])
        self.new = self.folder / "new.sqlite3"

    def original(self, keep_data: str = "true") -> None:
        self.config.write_text(CONFIG.format(keep_data=keep_data))

    def imported(self, *argv: str) -> tuple[int, list[str]]:
        before = {file: file.read_bytes() for file in (self.config, self.old, self.folder / ".htpasswd")}
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            status = main(["import", str(self.config), *argv])
        self.assertEqual(err.getvalue(), "")
        self.assertNotIn("a;b'c", out.getvalue())
        self.assertEqual({file: file.read_bytes() for file in before}, before)
        return status, out.getvalue().splitlines()

    def copied(self) -> tuple[int, list[str]]:
        return self.imported("--to", f"sqlite:///{self.new}")

    def rows(self) -> list[tuple[str, object]]:
        with closing(sqlite3.connect(self.new)) as connection:
            return list(connection.execute("SELECT channel, data FROM data ORDER BY data_id"))

    def assert_said(self, lines: list[str], *texts: str) -> None:
        for text in texts:
            self.assertTrue(any(text in line for line in lines), f"{text} is not in {lines}")


class LookTests(ImportCase):
    def test_it_can_be_used_as_it_is(self) -> None:
        status, lines = self.imported()
        self.assertEqual(status, 0)
        self.assertEqual(lines[-1], f"ok: to use it: twistd -n wsmb --config {self.config}")
        self.assertEqual({line.partition(":")[0] for line in lines}, {"ok", "note"})

    def test_what_is_read_otherwise(self) -> None:
        _, lines = self.imported()
        self.assert_said(
            lines,
            "[server] number_of_receiver (",
            "[secret] (",
            "[server] path (line 3): clients that ask for another path than /ws get 404",
            "[server] receiver_choice",
        )

    def test_users(self) -> None:
        _, lines = self.imported()
        self.assert_said(
            lines, "ok: 2 users can log in", "line 2: not a bcrypt", "line 4: not a bcrypt", "(alice, qa)"
        )

    def test_what_waits(self) -> None:
        _, lines = self.imported()
        self.assert_said(
            lines,
            "ok: 4 items wait on 2 channels",
            "  3 on sms",
            "not JSON (data_id 5)",
            "no channel (data_id 6)",
            "no channel's name (data_id 7)",
            "SMS, sms: may have been one channel",
        )

    def test_keep_data_that_meant_yes(self) -> None:
        self.original(keep_data="off")
        status, lines = self.imported()
        self.assertEqual(status, 0)
        self.assert_said(lines, "keep_data (line 5): means no here; the original took it for yes")
        self.assertEqual(self.copied()[0], 1)

    def test_no_database_yet(self) -> None:
        self.old.rename(self.new)
        self.old.write_bytes(b"")
        status, lines = self.imported()
        self.assertEqual(status, 1)
        self.assert_said(lines, "wrong: OperationalError: no such table")

    def test_a_configuration_that_cannot_be_read(self) -> None:
        self.config.write_text("[server]\nport=x\n")
        status, lines = self.imported()
        self.assertEqual((status, len(lines)), (1, 1))
        self.assertTrue(lines[0].startswith("wrong: [server] port ("), lines)


class WriteTests(ImportCase):
    def load(self, file: Path) -> Settings:
        return SettingsSource(config_file=str(file), overrides={}, environ={}, cwd="/").load_all().settings

    def test_the_new_configuration_says_the_same(self) -> None:
        file = self.folder / "wsmb.ini"
        self.assertEqual(self.imported("--write", str(file))[0], 0)
        self.assertEqual(self.load(file), self.without_warnings(self.load(self.config)))
        self.assertEqual(file.stat().st_mode & 0o077, 0)

    def without_warnings(self, settings: Settings) -> Settings:
        return Settings(
            **{name: getattr(settings, name) for name in Settings.__dataclass_fields__ if name != "warnings"}
        )

    def test_a_password_with_signs(self) -> None:
        self.config.write_text(self.config.read_text().replace("driver=sqlite", "driver=mysql"))
        settings = self.load(self.config)
        from wsmb.cli.original import configuration  # noqa: PLC0415

        file = self.folder / "wsmb.ini"
        file.write_text(configuration(settings, settings.database, "x"))
        self.assertEqual(self.load(file).database, settings.database)
        self.assertEqual(settings.database.password, "a;b'c")

    def test_the_original_s_choice_stays(self) -> None:
        self.config.write_text(
            self.config.read_text().replace("[database]", "receiver_choice=oldest\n[database]")
        )
        status, lines = self.imported("--write", str(self.folder / "wsmb.ini"))
        self.assertEqual(status, 1)
        self.assert_said(lines, "wrong: --write: ", "is wsmb's own already, with [server] receiver_choice")
        self.assertIs(self.load(self.config).default_channel.receiver_choice, ReceiverChoice.OLDEST)

    def test_nothing_is_overwritten(self) -> None:
        with redirect_stderr(io.StringIO()) as err:
            self.assertEqual(main(["import", str(self.config), "--write", str(self.config)]), 2)
        self.assertIn("nothing is overwritten", err.getvalue())

    def test_with_a_copy_it_names_the_new_database(self) -> None:
        file = self.folder / "wsmb.ini"
        status, _ = self.imported("--to", f"sqlite:///{self.new}", "--write", str(file))
        self.assertEqual((status, self.load(file).database.path), (0, str(self.new)))


class CopyTests(ImportCase):
    def test_all_that_is_good_in_its_order(self) -> None:
        status, lines = self.copied()
        self.assertEqual(status, 0)
        self.assert_said(lines, "ok: 4 items copied", "still names the old database")
        self.assertEqual([channel for channel, _ in self.rows()], [channel for channel, _ in GOOD])
        self.assertEqual(
            [json.loads(data) for _, data in self.rows()], [json.loads(data) for _, data in GOOD]
        )
        self.assertTrue(all(data.isascii() for _, data in self.rows()))

    def test_twice_is_once(self) -> None:
        self.copied()
        status, lines = self.copied()
        self.assertEqual(status, 0)
        self.assert_said(lines, "ok: all of them were in", "already")
        self.assertEqual(len(self.rows()), len(GOOD))

    def test_other_items_are_not_mixed_with(self) -> None:
        self.copied()
        with closing(sqlite3.connect(self.new)) as connection, connection:
            connection.execute("DELETE FROM data WHERE data_id = 1")
        status, lines = self.copied()
        self.assertEqual(status, 1)
        self.assert_said(lines, "wrong: --to: there are other items in it")
        self.assertEqual(len(self.rows()), len(GOOD) - 1)

    def test_not_onto_itself_and_not_into_memory(self) -> None:
        for url, text in ((f"sqlite:///{self.old}?prefix=", "where they are"), ("memory:", "memory")):
            status, lines = self.imported("--to", url)
            self.assertEqual(status, 1)
            self.assert_said(lines, text)

    def test_all_or_nothing(self) -> None:
        target = DatabaseSettings("sqlite", path=str(self.new), prefix="")

        def breaking() -> Iterator[Row]:
            for number in range(1, 2_000):
                yield Row(number, "sms", str(number))
            raise RefusedError("the source went away")

        with self.assertRaisesRegex(RefusedError, "the source went away"):
            copy(breaking, target)
        self.assertEqual(self.rows(), [])
        self.assertEqual(self.copied()[0], 0)
        self.assertEqual(len(self.rows()), len(GOOD))

    def test_a_source_that_changes_meanwhile(self) -> None:
        target = DatabaseSettings("sqlite", path=str(self.new), prefix="")
        times = iter(range(1, 9))

        def growing() -> Iterator[Row]:
            return iter([Row(number, "sms", "1") for number in range(next(times))])

        with self.assertRaisesRegex(RefusedError, "is not what is there now"):
            copy(growing, target)
