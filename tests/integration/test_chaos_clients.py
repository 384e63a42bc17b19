"""A short run of `make chaos-clients`: the asyncio client, and a broker that is killed."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chaos.clients import run

SEED = 1


class ChaosClientTests(SynchronousTestCase):
    def test_each_arrives_and_none_is_stored_twice(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        outcome = run(folder, items=4_000, kills=2, seed=SEED)
        self.assertEqual((outcome.wrong, outcome.kills), ([], 2))
