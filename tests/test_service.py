"""Tests for wsmb.service, as far as it needs no running broker."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from wsmb.service import Options, makeService


class HangUpTests(SynchronousTestCase):
    def test_it_does_not_end_a_broker_that_is_starting(self) -> None:
        self.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        options = Options()
        options.parent = None
        users = self.mktemp()
        Path(users).write_text("qa:{SHA}mi768OhiFE75ctDBzUasjWiuqGc=\n")
        options.parseOptions(["--listen", "tcp:1:interface=127.0.0.1", "--htpasswd", users])
        makeService(options)
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertIs(signal.getsignal(signal.SIGHUP), signal.SIG_IGN)
