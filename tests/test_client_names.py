"""Tests for wsmb.client: what is imported when."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.broker_process import LIMIT_S, environment

PROGRAM = """
import sys
import wsmb.client
before = "websockets" in sys.modules
wsmb.client.Client, wsmb.client.BlockingClient, wsmb.client.Late
print(before, "websockets" in sys.modules, "twisted" in sys.modules, "autobahn" in sys.modules)
"""


class NameTests(SynchronousTestCase):
    def test_who_does_not_use_twisted_does_not_import_it(self) -> None:
        printed = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=True,
        )
        self.assertEqual(printed.stdout, "False True False False\n")
