"""Damaged SQLite files are found at the start, and kept."""

from __future__ import annotations

import glob
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from twisted.internet import reactor
from twisted.logger import capturedLogs, formatEvent

from tests.contracts.store_contract import ask, data_of
from tests.test_store_sqlite import SqliteCase
from wsmb.errors import SettingError
from wsmb.store import open_store

PAGE = 4096


class DamageTest(SqliteCase):
    async def fill(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b'"%d %s"' % (number, b"x" * 500) for number in range(500)])
        await ask(store.close)

    def spoil(self, offset: int, data: bytes) -> bytes:
        with open(self.path, "r+b") as file:
            file.seek(offset)
            file.write(data)
        return Path(self.path).read_bytes()

    def moved(self) -> list[str]:
        return [name for name in glob.glob(self.path + ".damaged-*") if name[-4:] not in ("-wal", "-shm")]

    def assert_holds(self, path: str, content: bytes) -> None:
        self.assertTrue(Path(path).read_bytes() == content, f"{path} is not as it was")

    async def assert_moved_aside(self, content: bytes) -> str:
        """The broker starts with a new file, the old one is whole, and the log says where; that line."""
        before = set(self.moved())
        with capturedLogs() as events:
            store = self.open()
        (line,) = [line for line in map(formatEvent, events) if line and "DAMAGED" in line]
        (moved,) = set(self.moved()) - before
        self.assertRegex(moved, r"^" + self.path + r"\.damaged-\d{8}T\d{6}Z(-2)*$")
        self.assert_holds(moved, content)
        for word in (moved, f"{len(content)} bytes", ".recover"):
            self.assertIn(word, line)
        self.assertEqual(await ask(store.append, "sms", [b"1"]), [1])
        self.assertEqual(data_of(await ask(store.page, "sms", 0, 9, 99)), [b"1"])
        await ask(store.close)
        return moved

    async def test_a_page_that_was_overwritten(self) -> None:
        await self.fill()
        await self.assert_moved_aside(self.spoil(20 * PAGE, os.urandom(2 * PAGE)))

    async def test_a_file_that_was_cut(self) -> None:
        await self.fill()
        os.truncate(self.path, 10 * PAGE)
        await self.assert_moved_aside(Path(self.path).read_bytes())

    async def test_a_header_that_was_overwritten(self) -> None:
        await self.fill()
        await self.assert_moved_aside(self.spoil(0, b"\xff" * 100))

    async def test_a_schema_that_was_overwritten(self) -> None:
        await self.fill()
        content = Path(self.path).read_bytes()
        await self.assert_moved_aside(self.spoil(content.index(b"CREATE TABLE"), b"CREATE TALBE"))

    async def test_a_file_of_zeros(self) -> None:
        """What some file systems leave behind after a power cut."""
        await self.fill()
        await self.assert_moved_aside(self.spoil(0, bytes(os.path.getsize(self.path))))

    async def test_nothing_is_ever_overwritten(self) -> None:
        contents = []
        for _ in range(3):
            await self.fill()
            contents.append(self.spoil(20 * PAGE, os.urandom(2 * PAGE)))
            await self.assert_moved_aside(contents[-1])
        for path, content in zip(sorted(self.moved(), key=os.path.getmtime), contents, strict=True):
            self.assert_holds(path, content)

    async def test_the_journal_goes_with_it(self) -> None:
        """What has been committed may stand there alone, and beside a new file it would spoil that."""
        await self.fill()
        with closing(sqlite3.connect(self.path)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM mq_data").fetchone()
            self.sql("INSERT INTO mq_data (channel, data) VALUES ('sms', '\"journal\"')")
            journal = Path(self.path + "-wal").read_bytes()
            content = self.spoil(20 * PAGE, os.urandom(2 * PAGE))
        # Closing moves the journal into the file: put both back as a crash would have left them.
        Path(self.path).write_bytes(content)
        Path(self.path + "-wal").write_bytes(journal)
        moved = await self.assert_moved_aside(content)
        self.assert_holds(moved + "-wal", journal)

    async def test_a_damaged_file_at_the_end_of_a_link(self) -> None:
        await self.fill()
        self.spoil(20 * PAGE, os.urandom(2 * PAGE))
        link, self.path = self.path, self.path + "-there"
        os.rename(link, self.path)
        os.rename(link + ".lock", self.path + ".lock")
        os.symlink(self.path, link)
        store = open_store(self.settings, reactor)
        self.addCleanup(lambda: ask(store.close))
        self.assertTrue(os.path.islink(link))
        self.assertEqual(len(self.moved()), 1)

    async def test_another_file_is_left_alone(self) -> None:
        for content in (b"not a database, but long enough to look like something" * 100, b"short"):
            Path(self.path).write_bytes(content)
            for _ in range(2):
                with self.assertRaises(SettingError) as caught:
                    self.open()
                self.assertIn("not an SQLite database", str(caught.exception))
            self.assertEqual(Path(self.path).read_bytes(), content)
        self.assertEqual(self.moved(), [])

    async def test_a_whole_file_stays(self) -> None:
        await self.fill()
        store = self.open()
        self.assertEqual(len(await ask(store.page, "sms", 0, 1000, 10**7)), 500)
        self.assertEqual(self.moved(), [])

    async def test_a_file_that_another_program_left_in_the_middle_of_a_transaction(self) -> None:
        """It is not damaged, but to look at it means to roll that back."""
        other = self.path + "-other"
        with closing(sqlite3.connect(other, isolation_level=None)) as connection:
            connection.execute("CREATE TABLE mq_data (data_id integer primary key, channel, data, created)")
            connection.execute(
                "INSERT INTO mq_data VALUES (1, 'sms', '\"' || hex(zeroblob(50000)) || '\"', 0)"
            )
            connection.execute("PRAGMA cache_size = 1")
            connection.execute("BEGIN")
            connection.execute("UPDATE mq_data SET data = '\"' || hex(randomblob(60000)) || '\"'")
            for ending in ("", "-journal"):
                Path(self.path + ending).write_bytes(Path(other + ending).read_bytes())
        (item,) = await ask(self.open().page, "sms", 0, 9, 10**6)
        self.assertTrue(item.data == b'"' + b"0" * 100_000 + b'"')
        self.assertEqual(self.moved(), [])
