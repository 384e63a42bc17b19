"""What TwistedClient does beyond what all clients do, against a real broker."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.trial.unittest import TestCase

from tests.contracts.client_contract import shared_broker
from tests.integration.broker_process import PASSWORD, USER
from wsmb.client import AdmissionError, ClosedError, TwistedClient, TwistedDelivery


class ServiceTests(TestCase):
    def setUp(self) -> None:
        self.channel = f"service.{self.id().rpartition('.')[2]}"

    def client(self, password: str = PASSWORD) -> TwistedClient:
        client = TwistedClient(f"ws://127.0.0.1:{shared_broker().port}/", user=USER, password=password)
        client.startService()
        self.addCleanup(self.forget_timers)
        return client

    def forget_timers(self) -> None:
        """Autobahn's, see test_client_faces."""
        for call in reactor.getDelayedCalls():
            if "_BatchedTimer" in str(call):
                call.cancel()

    async def fails(self, deferred: Deferred[Any], kind: type[Exception]) -> None:
        try:
            await deferred
        except kind:
            return
        raise AssertionError(f"no {kind}")

    async def test_what_fails_comes_again(self) -> None:
        client = self.client()
        tries: list[bool] = []
        done: Deferred[None] = Deferred()

        def work(delivery: TwistedDelivery) -> Deferred[Any] | None:
            tries.append(delivery.redelivered)
            if len(tries) == 1:
                raise ZeroDivisionError
            if len(tries) == 2:
                return fail(ZeroDivisionError())
            return delivery.ack(confirm=True).addCallback(lambda _: done.callback(None))

        receiving = client.receive(self.channel, work)
        # Sent by another: what the only receiver sends waits for another one.
        sender = self.client()
        await sender.send(self.channel, 1)
        await done
        self.assertEqual((tries, len(self.flushLoggedErrors(ZeroDivisionError))), ([False, True, True], 2))
        receiving.stop()
        receiving.stop()
        await receiving.ended
        for one in (client, sender):
            await one.stopService()
            await one.ended

    async def test_the_stop_waits_for_confirms(self) -> None:
        client = self.client()
        sends = [client.send(self.channel, number) for number in range(100)]
        await client.stopService()
        self.assertEqual([(await one).stored for one in sends], [1] * 100)
        await self.fails(client.when_connected(), ClosedError)

    async def test_a_cancelled_send_is_forgotten(self) -> None:
        client = self.client()
        sending = client.send(self.channel, 1)
        sending.cancel()
        await self.fails(sending, CancelledError)
        self.assertEqual((await client.send(self.channel, 2)).stored, 1)
        await client.stopService()

    async def test_not_let_in(self) -> None:
        client = self.client("wrong")
        sending = client.send(self.channel, 1)
        receiving = client.receive(self.channel, lambda _: None)
        await self.fails(client.ended, AdmissionError)
        await self.fails(sending, AdmissionError)
        await self.fails(receiving.ended, AdmissionError)
        await client.stopService()
