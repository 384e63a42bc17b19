"""The SQLite store while its file is locked, its disk is full or fails."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread

from tests.contracts.store_contract import ask, data_of
from tests.support import need
from tests.test_store_sqlite import SqliteCase
from wsmb.errors import Code, StoreError
from wsmb.settings import ChannelSettings, Limits
from wsmb.stock import Disk
from wsmb.store.dialects import Fault
from wsmb.store.disk import LOOK_EVERY_S
from wsmb.store.operations import Append, Batch
from wsmb.store.sql import SqlStore
from wsmb.store.sqlite import SqliteDialect
from wsmb.store.sqlite_file import SqliteFile
from wsmb.store.sqlite_table import SqliteTable
from wsmb.store.transaction import Transactions

ANY = ChannelSettings()


class SlowTable(SqliteTable):
    """Each insert takes until it may go on."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.go_on = threading.Semaphore(0)

    def insert(self, connection: Any, rows: Sequence[tuple[int, str, str]]) -> None:
        self.go_on.acquire(timeout=30)
        super().insert(connection, rows)


class SqliteFaultTest(SqliteCase):
    async def test_a_lock_is_waited_for_and_each_item_stored_once(self) -> None:
        store = self.open()
        lock = self.locked()
        answers = [ask(store.append, "sms", [b"%d" % number]) for number in range(50)]
        self.assertIs(await ask(store.check), False)
        self.assertFalse([answer for answer in answers if answer.called])
        lock.execute("ROLLBACK")
        await gatherResults(answers)
        self.assertEqual(data_of(await ask(store.page, "sms", 0, 99, 999)), [b"%d" % n for n in range(50)])

    async def test_many_checks_are_one_in_the_queue(self) -> None:
        """Else a database that is away would fill the memory with them."""
        store = self.open()
        lock = self.locked()
        answer = ask(store.append, "sms", [b"1"])
        for _ in range(2):
            self.assertEqual(await gatherResults([ask(store.check) for _ in range(100)]), [False] * 100)
        self.assertLessEqual(len(store._writer._lanes), 2)  # the check, and the count of the start
        lock.execute("ROLLBACK")
        await answer
        self.assertIs(await ask(store.check), True)

    async def test_a_busy_store_is_well(self) -> None:
        """What was asked before takes longer than a check may, but it goes on."""
        dialect = SqliteDialect(self.settings)
        dialect.table = table = SlowTable("mq_data")
        store = SqlStore(dialect, reactor, dialect.open())
        self.addCleanup(lambda: ask(store.close))
        self.addCleanup(table.go_on.release, 2)
        first = ask(store.append, "sms", [b"1"])
        second, check = ask(store.append, "sms", [b"2"]), ask(store.check)
        table.go_on.release()
        await first
        self.assertIs(await check, True)
        self.assertFalse(second.called)

    async def test_foreign_rows_in_between_make_it_number_anew(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"1"])
        self.sql("INSERT INTO mq_data (channel, data) VALUES ('sms', '2'), ('sms', '3')")
        self.assertEqual(await ask(store.append, "sms", [b"4", b"3"]), [4, 5])
        self.assertEqual(await ask(store.append, "sms", [b"6"]), [6])
        self.assertEqual(
            data_of(await ask(store.page, "sms", 0, 9, 99)), [b"1", b"2", b"3", b"4", b"3", b"6"]
        )

    async def test_one_poisonous_item_fails_alone(self) -> None:
        await ask(self.open().close)
        self.sql(
            "CREATE TRIGGER no BEFORE INSERT ON mq_data WHEN NEW.data = '13' "
            "BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        store = self.open()
        lock = self.locked()
        answers = [ask(store.append, "sms", [b"%d" % number]) for number in range(100)]
        pages = ask(store.page, "sms", 0, 1000, 10_000)
        lock.execute("ROLLBACK")
        results = await gatherResults(answers)
        self.assertEqual([n for n, result in enumerate(results) if isinstance(result, StoreError)], [13])
        self.assertIs(results[13].code, Code.UNAVAILABLE)
        self.assertEqual(data_of(await pages), [b"%d" % n for n in range(100) if n != 13])
        ids = [result[0] for result in results if not isinstance(result, StoreError)]
        self.assertEqual(ids, sorted(ids))

    async def test_close_gives_up_and_refuses_the_rest(self) -> None:
        store = self.open()
        self.locked()
        answer = ask(store.append, "sms", [b"1"])
        await ask(store.close)
        self.assertIs((await answer).code, Code.UNAVAILABLE)

    async def test_close_ends_its_thread_and_its_connection(self) -> None:
        before = set(threading.enumerate())
        store = self.open()
        await ask(store.append, "sms", [b"1"])
        self.assertEqual(len(set(threading.enumerate()) - before), 1)
        await ask(store.close)
        self.assertEqual(set(threading.enumerate()) - before, set())
        self.assertFalse(Path(self.path + "-wal").exists())

    def test_what_errors_mean(self) -> None:
        dialect = SqliteDialect(self.settings)
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b NOT NULL)")
            connection.execute("INSERT INTO t VALUES (1, 1)")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 100)
            for statement, values, fault in (
                ("INSERT INTO t VALUES (1, 1)", (), Fault.TAKEN),
                ("INSERT INTO t VALUES (2, NULL)", (), Fault.POISON),
                ("INSERT INTO t VALUES (2, ?)", ("x" * 200,), Fault.TOO_LARGE),
                ("INSERT INTO gone VALUES (2, 2)", (), Fault.PASSING),
            ):
                with self.assertRaises(sqlite3.Error) as caught:
                    connection.execute(statement, values)
                self.assertIs(dialect.fault(caught.exception), fault, statement)
        self.assertIs(dialect.fault(RuntimeError()), Fault.POISON)


class SqliteDiskTest(SqliteCase):
    async def test_on_a_full_disk_items_wait_and_all_else_goes_on(self) -> None:
        dialect = FullDisk(self.settings)
        store = SqlStore(dialect, reactor, dialect.open())
        self.addCleanup(lambda: ask(store.close))
        ids = await ask(store.append, "sms", [b"1", b"2"])
        answers = [ask(store.append, "sms", [b'"' + b"x" * 1_000_000 + b'"'], key=b"k" * 16)]
        answers.append(ask(store.append, "sms", [b"4"]))
        self.assertEqual(data_of(await ask(store.page, "sms", 0, 9, 99)), [b"1", b"2"])
        store.remove(ids[:1])
        self.assertEqual(data_of(await ask(store.page, "sms", 0, 9, 99)), [b"2"])
        self.assertIs(await ask(store.check), True)
        self.assertEqual([answer.called for answer in answers], [False, False])
        self.assertEqual(self.sql("SELECT data FROM mq_data"), [("2",)])
        dialect.make_room()
        self.assertEqual(await gatherResults(answers), [[3], [4]])
        self.assertEqual(self.sql("SELECT data_id FROM mq_data"), [(2,), (3,), (4,)])
        self.assertEqual(self.sql("SELECT COUNT(*) FROM mq_message_id"), [(1,)])

    async def test_a_write_that_fails_confirms_nothing(self) -> None:
        """The system lets no file of that process grow beyond a limit: to SQLite an I/O error."""
        limit = """
import resource
def spoil(path):
    size = os.path.getsize(path + "-wal") + 100_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
def mend(path):
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""
        await self.assert_unconfirmed_while_it_fails(limit)

    async def test_a_sync_that_fails_confirms_nothing(self) -> None:
        """fsync and fdatasync fail for as long as a file is there."""
        need("gcc")
        source, library, mark = (os.path.abspath(self.mktemp()) for _ in range(3))
        Path(source).write_text(FAILING_SYNC)
        compile_it = ["gcc", "-x", "c", "-shared", "-fPIC", "-o", library, source]
        await deferToThread(subprocess.run, compile_it, check=True)
        script = """
def spoil(path):
    open(os.environ["FAILING_SYNC"], "w").close()
def mend(path):
    os.unlink(os.environ["FAILING_SYNC"])
"""
        await self.assert_unconfirmed_while_it_fails(script, LD_PRELOAD=library, FAILING_SYNC=mark)

    async def assert_unconfirmed_while_it_fails(self, spoil_and_mend: str, **environment: str) -> None:
        done = await deferToThread(
            subprocess.run,
            [sys.executable, "-c", "import os, sys\n" + spoil_and_mend + APPENDING, self.path],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual((done.stdout, done.stderr), ("waits\nconfirmed [2]\n", ""))
        self.assertEqual(self.sql("SELECT data_id, length(data) FROM mq_data"), [(1, 1), (2, 1_000_002)])

    async def test_below_the_floor_what_is_new_is_refused_and_all_else_goes_on(self) -> None:
        dialect, clock = TightDisk(self.settings), Clock()
        store = SqlStore(dialect, reactor, dialect.open(), clock.seconds)
        self.addCleanup(lambda: ask(store.close))
        store.stock.limits = Limits(min_free_disk_bytes=1_000)
        dialect.free_bytes = 1_000
        ids = await ask(store.append, "sms", [b"1", b"2"], within=ANY)
        dialect.free_bytes = 999
        self.assertEqual(await ask(store.append, "sms", [b"3"], within=ANY), [3])  # it has just looked
        clock.advance(LOOK_EVERY_S)
        refused, taken = await gatherResults(
            [ask(store.append, "sms", [b"4"], key=b"k" * 16, within=ANY), ask(store.append, "sms", [b"5"])]
        )
        self.assertIs(refused.code, Code.UNAVAILABLE)
        self.assertEqual(taken, [5])
        store.remove(ids)
        self.assertEqual(data_of(await ask(store.page, "sms", 0, 9, 99)), [b"3", b"5"])
        self.assertIs(await ask(store.check), True)
        self.assertEqual((store.stock.of("sms"), self.sql("SELECT * FROM mq_message_id")), ((2, 2), []))
        self.assertIn("min_free_disk_bytes: 1 on 'sms'", store.stock.take_report())
        dialect.free_bytes = 1_000
        clock.advance(LOOK_EVERY_S)
        self.assertEqual(await ask(store.append, "sms", [b"6"], within=ANY), [6])

    def test_what_an_earlier_try_may_have_stored_is_not_refused_by_the_next(self) -> None:
        dialect = SqliteDialect(self.settings)
        dialect.open()
        self.addCleanup(dialect.close)
        append = Append("sms", [b"1"], lambda _result: None, is_new=True)
        batch = Batch([append])
        batch.number(1)
        with closing(dialect.connect()) as connection:
            Transactions(dialect, lambda: 0.0).carry_out(connection, batch)
            connection.commit()
            batch.unsure = True  # the reply to COMMIT was lost
            Transactions(dialect, lambda: 0.0, lambda _connection: True).carry_out(connection, batch)
            connection.commit()
        self.assertEqual((append.stored, append.refusal), (True, None))
        self.assertEqual(self.sql("SELECT COUNT(*) FROM mq_data"), [(1,)])

    async def test_what_is_unused_in_the_file_is_room(self) -> None:
        dialect = SqliteDialect(self.settings)
        store = SqlStore(dialect, reactor, dialect.open())
        self.addCleanup(lambda: ask(store.close))
        ids = await ask(store.append, "sms", [b'"' + b"x" * 1_000_000 + b'"'])

        def room() -> int:
            """Without what is free on the disk, where others write, too."""
            with closing(sqlite3.connect(self.path)) as connection:
                there = SqliteDialect(self.settings)
                there._file = UnusedOnly(self.path)
                return there.disk(connection).free_bytes

        self.assertLess(room(), 10_000)
        store.remove(ids)
        self.assertIs(await ask(store.check), True)
        self.assertGreater(room(), 900_000)

    def test_the_disk_that_the_file_is_on(self) -> None:
        dialect = SqliteDialect(self.settings)
        dialect.open()
        self.addCleanup(dialect.close)
        with closing(dialect.connect()) as connection:
            disk = dialect.disk(connection)
        found = os.statvfs(os.path.dirname(self.path))
        self.assertEqual(disk.size_bytes, found.f_blocks * found.f_frsize)
        self.assertTrue(0 < disk.free_bytes <= disk.size_bytes)


FAILING_SYNC = """
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fails(void) { const char *mark = getenv("FAILING_SYNC"); return mark && access(mark, F_OK) == 0; }

int fsync(int fd) { if (fails()) { errno = EIO; return -1; } return syscall(SYS_fsync, fd); }

int fdatasync(int fd) { if (fails()) { errno = EIO; return -1; } return syscall(SYS_fdatasync, fd); }
"""

APPENDING = """
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from tests.contracts.store_contract import ask
from wsmb.settings import DatabaseSettings
from wsmb.store import open_store

async def run():
    path = sys.argv[1]
    store = open_store(DatabaseSettings(driver="sqlite", path=path), reactor)
    await ask(store.append, "sms", [b"1"])
    spoil(path)
    answer = ask(store.append, "sms", [b'"' + b"x" * 1_000_000 + b'"'])
    alive = await ask(store.check)
    print("waits" if not alive and not answer.called else "confirmed too early")
    mend(path)
    print("confirmed", await answer)
    await ask(store.close)
    reactor.stop()

reactor.callWhenRunning(lambda: ensureDeferred(run()))
reactor.run()
"""


class TightDisk(SqliteDialect):
    """On a disk with so much room."""

    free_bytes = 0

    def disk(self, connection: sqlite3.Connection) -> Disk:
        return Disk(self.free_bytes, 10**12)


class UnusedOnly(SqliteFile):
    """On a disk that is full."""

    def disk(self, unused_bytes: int) -> Disk:
        return Disk(unused_bytes, super().disk(unused_bytes).size_bytes)


class FullDisk(SqliteDialect):
    """A file that may not grow beyond ten pages until there is room, as SQLite itself sees to it."""

    def connect(self) -> sqlite3.Connection:
        self.full = super().connect()
        self.full.execute("PRAGMA max_page_count = 20")
        return self.full

    def make_room(self) -> None:
        self.full.execute("PRAGMA max_page_count = 1000000")
