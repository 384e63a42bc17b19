"""A simulated power cut takes what was not synced, and nothing else: tried on Python's own sqlite3."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chaos.power import Disk, compile_library
from tests.support import need

LIMIT_S = 30
ROWS = 300

COMMIT_ROWS = """
import sqlite3, sys
path, synchronous, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
connection = sqlite3.connect(path, isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute(f"PRAGMA synchronous = {synchronous}")
connection.execute("PRAGMA wal_autocheckpoint = 40")
connection.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, filler TEXT)")
for number in range(rows):
    try:
        connection.execute("INSERT INTO t (filler) VALUES (?)", ("x" * 500,))
        print(number, flush=True)
    except sqlite3.OperationalError as error:
        print("failed", flush=True)
print("done", flush=True)
sys.stdin.read()
"""

WRITE_FILES = """
import os, sys
os.chdir(sys.argv[1])
folder = os.getcwd()
def change(name, text, flags=0, sync=False):
    fd = os.open(f"{folder}/{name}", os.O_RDWR | flags)
    os.pwrite(fd, text, 0)
    if sync:
        os.fsync(fd)
    return fd
change("kept", b"first", os.O_CREAT, sync=True)
change("kept", b"SECOND AND LONGER")
os.ftruncate(change("shortened", b"long text", os.O_CREAT, sync=True), 3)
change("never-synced", b"x", os.O_CREAT)
change("unlinked", b"comes back", os.O_CREAT, sync=True)
os.unlink(f"{folder}/unlinked")
change("unlinked", b"new one", os.O_CREAT)
change("replaced", b"old", os.O_CREAT, sync=True)
os.unlink(f"{folder}/replaced")
change("replaced", b"new", os.O_CREAT, sync=True)
fd = os.open(f"{folder}/appended", os.O_RDWR | os.O_CREAT | os.O_APPEND)
os.write(fd, b"one")
os.fdatasync(fd)
os.write(fd, b"two")
print("done", flush=True)
sys.stdin.read()
"""


class PowerCutCase(SynchronousTestCase):
    """Runs a script that writes to a disk, up to its "done", and kills it."""

    def setUp(self) -> None:
        need("gcc")
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        self.disk = Disk(folder, compile_library(folder))

    def run_and_kill(self, script: str, *arguments: object) -> list[str]:
        """The lines that it has printed before "done"."""
        process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            env={**os.environ, **self.disk.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout is not None
            lines = []
            while (line := process.stdout.readline().strip()) not in {"done", ""}:
                lines.append(line)
            process.kill()
            process.wait(LIMIT_S)
        self.assertEqual(line, "done")
        return lines


class SqliteTests(PowerCutCase):
    def rows_after_a_cut(self, synchronous: str, random_numbers: random.Random | None = None) -> int:
        """How many of ROWS committed rows are there still."""
        path = self.disk.files / "rows.sqlite3"
        self.run_and_kill(COMMIT_ROWS, path, "FULL", 1)
        committed = 1 + len(self.run_and_kill(COMMIT_ROWS, path, synchronous, ROWS))
        self.assertEqual(committed, 1 + ROWS)
        self.disk.cut_power(random_numbers)
        return self.rows(path)

    def rows(self, path: Path) -> int:
        with closing(sqlite3.connect(path)) as connection:
            self.assertEqual(connection.execute("PRAGMA integrity_check").fetchone()[0], "ok")
            return int(connection.execute("SELECT COUNT(*) FROM t").fetchone()[0])

    def test_full_loses_nothing(self) -> None:
        self.assertEqual(self.rows_after_a_cut("FULL"), 1 + ROWS)

    def test_full_loses_nothing_where_some_writes_reached_the_disk(self) -> None:
        self.assertEqual(self.rows_after_a_cut("FULL", random.Random(1)), 1 + ROWS)

    def test_normal_loses_committed_rows(self) -> None:
        self.assertLess(self.rows_after_a_cut("NORMAL"), 1 + ROWS)

    def test_off_loses_committed_rows(self) -> None:
        self.assertEqual(self.rows_after_a_cut("OFF"), 1)

    def test_without_a_cut_nothing_is_lost(self) -> None:
        path = self.disk.files / "rows.sqlite3"
        self.run_and_kill(COMMIT_ROWS, path, "OFF", ROWS)
        self.assertEqual(self.rows(path), ROWS)

    def test_what_a_failed_fsync_did_not_sync_is_undone(self) -> None:
        path = self.disk.files / "rows.sqlite3"
        self.run_and_kill(COMMIT_ROWS, path, "FULL", 1)
        self.disk.fail_fsyncs(1, from_call=20)
        lines = self.run_and_kill(COMMIT_ROWS, path, "FULL", ROWS)
        committed = [line for line in lines if line != "failed"]
        self.assertGreater(len(committed), 5)
        self.assertEqual({"failed"}, set(lines[20:]))
        self.disk.cut_power()
        self.assertEqual(self.rows(path), 1 + len(committed))

    def test_some_fsyncs_fail(self) -> None:
        path = self.disk.files / "rows.sqlite3"
        self.run_and_kill(COMMIT_ROWS, path, "FULL", 1)
        self.disk.fail_fsyncs(0.3)
        lines = self.run_and_kill(COMMIT_ROWS, path, "FULL", ROWS)
        committed = [line for line in lines if line != "failed"]
        self.assertLess(len(committed), ROWS)
        self.disk.cut_power()
        # The last row may be there though it failed: the fsync of a new header of the log takes along what a
        # failed one has left.
        self.assertIn(self.rows(path) - len(committed), {1, 2})


class FileTests(PowerCutCase):
    def test_what_was_not_synced_is_undone(self) -> None:
        self.run_and_kill(WRITE_FILES, self.disk.files)
        undone = self.disk.cut_power()
        self.assertGreaterEqual(undone.writes, 3)
        self.assertEqual(
            {path.name: path.read_bytes() for path in self.disk.files.iterdir()},
            {
                "kept": b"first",
                "shortened": b"long text",
                "unlinked": b"comes back",
                "replaced": b"new",
                "appended": b"one",
            },
        )
        self.assertEqual(list(self.disk.logs.iterdir()), [])
