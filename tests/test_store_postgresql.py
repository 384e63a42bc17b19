"""The PostgreSQL dialect without a server: what errors mean, and psycopg being there or not."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.broker_process import environment
from tests.support import skipped
from wsmb.errors import SettingError
from wsmb.settings import DatabaseSettings
from wsmb.store import open_store
from wsmb.store.dialects import Fault

SETTINGS = DatabaseSettings("pgsql", host="/no/socket", port=5432, name="n")


def module(name: str) -> Any:
    """A module that imports psycopg."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise skipped("psycopg is not installed") from None


class FaultTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.psycopg = module("psycopg")
        self.dialect = module("wsmb.store.postgresql").PostgresqlDialect(SETTINGS)

    def assert_faults(self, fault: Fault, *states: str) -> None:
        for state in states:
            self.assertIs(self.dialect.fault(self.psycopg.errors.lookup(state)()), fault, state)

    def test_what_passes(self) -> None:
        self.assert_faults(Fault.PASSING, "08000", "08006", "08P01", "57P01", "57P02", "57P03", "57014")
        self.assert_faults(
            Fault.PASSING, "40001", "40P01", "55P03", "25006", "25P03", "53300", "53200", "58030"
        )
        # Rights, tables and databases can come back: an operator may be at work.
        self.assert_faults(Fault.PASSING, "28P01", "28000", "42501", "42P01", "42703", "3D000", "3F000")
        for error in (self.psycopg.OperationalError("the connection is lost"), self.psycopg.InterfaceError()):
            self.assertIs(self.dialect.fault(error), Fault.PASSING)

    def test_a_full_disk(self) -> None:
        self.assert_faults(Fault.FULL, "53100")

    def test_an_id_that_is_taken(self) -> None:
        self.assert_faults(Fault.TAKEN, "23505")

    def test_what_is_too_large(self) -> None:
        self.assert_faults(Fault.TOO_LARGE, "22001", "54000", "54001")

    def test_what_will_never_be_taken(self) -> None:
        self.assert_faults(
            Fault.POISON, "23514", "23502", "22021", "22P05", "P0001", "42601", "0A000", "XX000"
        )
        for error in (self.psycopg.DataError("NUL"), TypeError(), ValueError()):
            self.assertIs(self.dialect.fault(error), Fault.POISON)


class StatementTest(SynchronousTestCase):
    def test_rows_go_in_pieces_that_a_message_can_carry(self) -> None:
        pieces = module("wsmb.store.postgresql_table").pieces
        sizes = [3_000_000, 1_000_000, 1_000_000, 9_000_000, 1, 1]
        rows = [(number, "sms", "x" * size) for number, size in enumerate(sizes)]
        self.assertEqual([[row[0] for row in piece] for piece in pieces(rows)], [[0, 1], [2], [3], [4, 5]])


class PsycopgTest(SynchronousTestCase):
    def test_where_it_is_missing_the_start_names_the_extra(self) -> None:
        loaded = [name for name in sys.modules if name.startswith("wsmb.store.postgresql")]
        with mock.patch.dict(sys.modules, {"psycopg": None}):
            for name in loaded:
                del sys.modules[name]
            with self.assertRaises(SettingError) as caught:
                open_store(SETTINGS, None)
        self.assertIn("[database] driver: pgsql", str(caught.exception))
        self.assertIn("pip install 'wsmb[postgresql]'", str(caught.exception))

    def test_it_is_in_memory_only_where_it_is_used(self) -> None:
        module("psycopg")
        program = (
            "import sys; from twisted.internet import reactor; import wsmb.service, wsmb.config; "
            "from wsmb.settings import DatabaseSettings; from wsmb.store import open_store; "
            f"open_store(DatabaseSettings('sqlite', path={self.mktemp()!r}), reactor); "
            "sys.exit('psycopg' in sys.modules)"
        )
        subprocess.run([sys.executable, "-c", program], check=True, env=environment(), timeout=60)
