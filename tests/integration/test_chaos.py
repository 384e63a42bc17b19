"""Short runs of `make chaos`: two faults in each, and nothing confirmed is lost."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chaos.power import compile_library
from chaos.report import wrongs
from chaos.run import Limits, run
from chaos.scenarios import SCENARIOS
from tests.support import need

LIMITS = Limits(seconds=20, faults=2, gap_s=0.4, rate=4_000)
SEED = 1


class ChaosTests(SynchronousTestCase):
    def assert_nothing_is_lost(self, name: str) -> None:
        library = None
        if SCENARIOS[name].power:
            need("gcc")
            folder = Path(self.mktemp()).absolute()
            folder.mkdir(parents=True)
            library = compile_library(folder)
        outcome = run(SCENARIOS[name], LIMITS, SEED, library)
        self.assertEqual(wrongs(outcome), "")
        self.assertGreater(outcome.verdict.confirmed, 0)
        self.assertEqual(outcome.faults.total(), LIMITS.faults)

    def test_broker_killed_over_sqlite(self) -> None:
        self.assert_nothing_is_lost("broker-sqlite")

    def test_broker_killed_over_mariadb(self) -> None:
        self.assert_nothing_is_lost("broker-mariadb")

    def test_broker_killed_over_postgresql(self) -> None:
        self.assert_nothing_is_lost("broker-postgresql")

    def test_power_cuts(self) -> None:
        self.assert_nothing_is_lost("power-sqlite")

    def test_failing_fsync(self) -> None:
        self.assert_nothing_is_lost("failing-fsync")

    def test_receivers_that_acknowledge_killed(self) -> None:
        self.assert_nothing_is_lost("receivers-ack")

    def test_receivers_that_do_not_killed(self) -> None:
        self.assert_nothing_is_lost("receivers-php")

    def test_mariadb_killed(self) -> None:
        self.assert_nothing_is_lost("mariadb-killed")

    def test_mariadb_frozen(self) -> None:
        self.assert_nothing_is_lost("mariadb-frozen")

    def test_postgresql_killed(self) -> None:
        self.assert_nothing_is_lost("postgresql-killed")

    def test_network_cut_and_stalled(self) -> None:
        self.assert_nothing_is_lost("network")

    def test_everything_at_once(self) -> None:
        self.assert_nothing_is_lost("mixed")
