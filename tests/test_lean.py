"""Tests for wsmb.lean: what is let go of is not missed."""

from __future__ import annotations

import subprocess
import sys
from unittest import SkipTest

from autobahn.websocket import USES_NVX
from twisted.trial.unittest import SynchronousTestCase

import wsmb.lean
from tests.integration.broker_process import environment
from wsmb.frames import unmask
from wsmb.reading import unmask_large


class LeanTests(SynchronousTestCase):
    def setUp(self) -> None:
        if not USES_NVX:
            raise SkipTest("Autobahn has no C code here")

    def test_the_parser_of_c_is_gone(self) -> None:
        wsmb.lean.let_go()
        self.assertEqual([name for name in sys.modules if name.startswith(("cffi", "pycparser"))], [])

    def test_the_compiled_code_works_on(self) -> None:
        from autobahn.nvx import Utf8Validator  # noqa: PLC0415

        for text, is_valid in (("caf\xe9".encode() * 1_000, True), (b"caf\xe9" * 1_000, False)):
            self.assertIs(Utf8Validator().validate(text)[0], is_valid)
        payload, mask = bytes(range(256)) * 100, b"\x11\x22\x33\x44"
        self.assertEqual(unmask_large(payload, mask), unmask(payload, mask))


class ImportTests(SynchronousTestCase):
    def test_who_serves_no_http_has_none_of_it_in_memory(self) -> None:
        program = "import sys, wsmb.service; print([n for n in sys.modules if n.startswith(%r)])"
        heavy = ("wsmb.http", "twisted.web", "prometheus_client")
        found = subprocess.run(
            [sys.executable, "-c", program % (heavy,)], env=environment(), capture_output=True, check=True
        )
        self.assertEqual(found.stdout, b"[]\n")
