"""The clients on asyncio, on Twisted and for scripts against a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.contracts.client_contract import ClientContract
from tests.integration.client_faces import AsyncioFace, BlockingFace, TwistedFace, run_blocking


class AsyncioTests(ClientContract, SynchronousTestCase):
    face = AsyncioFace()

    def carry_out(self, test: Coroutine[Any, Any, None]) -> None:
        asyncio.run(test)


class BlockingTests(ClientContract, SynchronousTestCase):
    face = BlockingFace()

    def carry_out(self, test: Coroutine[Any, Any, None]) -> None:
        run_blocking(test)


class TwistedTests(ClientContract, TestCase):
    face = TwistedFace()

    def carry_out(self, test: Coroutine[Any, Any, None]) -> Deferred[None]:
        return Deferred.fromCoroutine(test)

    def tearDown(self) -> None:
        super().tearDown()
        # Autobahn's timer for a broker that does not end TCP after its Close frame has nothing left to do.
        for call in reactor.getDelayedCalls():
            if "_BatchedTimer" in str(call):
                call.cancel()
