"""What each kind of Python client does with a real broker."""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Any

from tests.integration.broker_process import PASSWORD, USER, BrokerProcess, free_port
from tests.integration.client_faces import Face
from tests.support_tls import Authority
from wsmb.client import AdmissionError, ClosedError, Late, Receipt, RefusedError, UnreachableError

INI = """
[access]
deny[] = qa send,receive secret
allow[] = * send,receive *
[database]
driver = sqlite
name = kept.sqlite3
prefix = mq_
limit = 10
"""


class SharedBroker(BrokerProcess):
    """A broker for all tests here, until their process ends."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.port_of_tls = free_port()
        key, certificate = self.authority.write("server", hosts=("127.0.0.1",))
        listen = f"ssl:{self.port_of_tls}:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
        super().__init__(folder, ini=INI, keep_data="true", listen=[listen])


@cache
def shared_broker() -> SharedBroker:
    """The one."""
    folder = tempfile.mkdtemp(prefix="wsmb-clients-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    broker = SharedBroker(Path(folder))
    atexit.register(broker.stop)
    broker.start()
    return broker


class ClientContract:
    """To be mixed with a TestCase; each test has a channel of its own."""

    face: Face
    broker: SharedBroker
    assertEqual: Callable[..., None]
    assertIn: Callable[..., None]
    assertNotIn: Callable[..., None]
    id: Callable[[], str]

    def carry_out(self, test: Coroutine[Any, Any, None]) -> Any:
        """Run what a test does, to its end or to a Deferred of it."""
        raise NotImplementedError

    def setUp(self) -> None:
        self.broker = shared_broker()
        logging.getLogger("wsmb.client").setLevel(logging.ERROR)

    def tearDown(self) -> None:
        self.assertNotIn("Traceback", self.broker.log())

    @property
    def channel(self) -> str:
        return ".".join(self.id().split(".")[-2:])

    async def connected(self, password: str = PASSWORD, **options: Any) -> Any:
        url = f"ws://127.0.0.1:{self.broker.port}/"
        return await self.face.connect(url, user=USER, password=password, **options)

    async def send(self, client: Any, data: object, channel: str = "", **options: Any) -> Any:
        return await self.face.done(client.send(channel or self.channel, data, **options))

    async def failure(self, awaitable: Awaitable[Any], kind: type[BaseException]) -> Any:
        """The exception that it raises."""
        try:
            result = await awaitable
        except kind as error:
            return error
        raise AssertionError(f"{result} in the place of {kind}")

    def test_from_send_to_ack(self) -> Any:
        return self.carry_out(self.from_send_to_ack())

    async def from_send_to_ack(self) -> None:
        client = await self.connected()
        receipt = await self.send(client, [{"to": "é"}, 2], number_of_receiver=1, ttl=60)
        self.assertEqual((receipt.receivers, receipt.stored, receipt.duplicate), (0, 2, False))
        inbox = self.face.receive(client, self.channel)
        delivery = await inbox.next()
        self.assertEqual((delivery.channel, delivery.data), (self.channel, [{"to": "é"}, 2]))
        self.assertEqual(delivery.redelivered, False)
        self.assertEqual(await self.face.done(delivery.ack(confirm=True)), True)
        self.assertEqual(await self.face.done(delivery.ack()), False)
        await inbox.stop()
        self.assertEqual(await self.face.done(client.ping()), True)
        await self.face.close(client)

    def test_the_same_id_is_not_sent_again(self) -> Any:
        return self.carry_out(self.the_same_id_is_not_sent_again())

    async def the_same_id_is_not_sent_again(self) -> None:
        client = await self.connected()
        receipts: list[Receipt] = [await self.send(client, "once", message_id="order 1") for _ in range(2)]
        self.assertEqual([receipt.duplicate for receipt in receipts], [False, True])
        self.assertEqual([receipt.message_id for receipt in receipts], ["order 1"] * 2)
        await self.face.close(client)

    def test_rejected(self) -> Any:
        return self.carry_out(self.rejected())

    async def rejected(self) -> None:
        client = await self.connected()
        await self.send(client, "bad")
        inbox = self.face.receive(client, self.channel, prefetch=1)
        letters = self.face.receive(client, f"dead.{self.channel}")
        await self.face.done((await inbox.next()).reject())
        delivery = await inbox.next()
        self.assertEqual((delivery.data, delivery.redelivered), (["bad"], True))
        self.assertEqual(await self.face.done(delivery.reject(requeue=False, confirm=True)), True)
        letter = await letters.next()
        self.assertEqual((letter.data[0]["item"], letter.data[0]["reason"]), ("bad", "rejected"))
        await self.face.done(letter.ack())
        await inbox.stop()
        await letters.stop()
        await self.face.close(client)

    def test_without_acknowledging(self) -> Any:
        return self.carry_out(self.without_acknowledging())

    async def without_acknowledging(self) -> None:
        client, sender = await self.connected(), await self.connected()
        inbox = self.face.receive(client, self.channel, ack=False)
        await self.send(sender, 1)
        delivery = await inbox.next()
        self.assertEqual((delivery.data, await self.face.done(delivery.ack())), ([1], False))
        await inbox.stop()
        for one in (client, sender):
            await self.face.close(one)

    def test_who_leaves_gives_back(self) -> Any:
        return self.carry_out(self.who_leaves_gives_back())

    async def who_leaves_gives_back(self) -> None:
        client = await self.connected()
        await self.send(client, [*range(30)])
        first = self.face.receive(client, self.channel)
        taken = await first.next()
        await first.stop()
        self.assertEqual(await self.face.done(taken.ack(confirm=True)), True)
        second = self.face.receive(client, self.channel)
        came: list[int] = []
        while len(came) < 20:
            delivery = await second.next()
            came += delivery.data
            await self.face.done(delivery.ack())
        self.assertEqual(sorted(taken.data + came), [*range(30)])
        await second.stop()
        await self.face.close(client)

    def test_refused(self) -> Any:
        return self.carry_out(self.refused())

    async def refused(self) -> None:
        client = await self.connected()
        error = await self.failure(self.send(client, 1, "secret"), RefusedError)
        self.assertEqual((error.code, str(error)[:9]), ("03", "Forbidden"))
        inbox = self.face.receive(client, "secret")
        self.assertEqual((await self.failure(inbox.next(), RefusedError)).code, "03")
        error = await self.failure(self.send(client, "x" * 1_100_000), RefusedError)
        self.assertEqual(error.code, "04")
        self.assertEqual((await self.send(client, "goes on")).stored, 1)
        await self.face.close(client)

    def test_wrong_password(self) -> Any:
        return self.carry_out(self.wrong_password())

    async def wrong_password(self) -> None:
        error = await self.failure(self.connected(password="wrong"), AdmissionError)
        self.assertEqual(error.status, 401)
        self.assertEqual("wrong" in str(error), False)

    def test_tls_is_verified(self) -> Any:
        return self.carry_out(self.tls_is_verified())

    async def tls_is_verified(self) -> None:
        url = f"wss://{USER}:{PASSWORD.replace('@', '%40')}@127.0.0.1:{self.broker.port_of_tls}/"
        client = await self.face.connect(url, tls=self.face.tls(str(self.broker.authority.file)))
        self.assertEqual(await self.face.done(client.ping()), True)
        await self.face.close(client)
        error = await self.failure(self.face.connect(url), UnreachableError)
        self.assertIn("certificate", str(error))

    def test_the_broker_is_killed(self) -> Any:
        return self.carry_out(self.the_broker_is_killed())

    async def the_broker_is_killed(self) -> None:
        client = await self.connected()
        await self.send(client, "before")
        inbox = self.face.receive(client, self.channel)
        taken = await inbox.next()
        self.broker.kill9()
        error = await self.failure(self.send(client, "late", timeout=0.05), Late)
        self.assertEqual(bool(error.message_id), True)
        self.assertEqual(await self.face.done(taken.ack()), False)
        self.broker.start()
        receipt = await self.send(client, "after")
        self.assertEqual(receipt.stored + receipt.receivers, 1)
        again = await inbox.next()
        self.assertEqual(again.data[0], "before")
        self.assertEqual(await self.face.done(again.ack(confirm=True)), True)
        await inbox.stop()
        await self.face.close(client)

    def test_closed(self) -> Any:
        return self.carry_out(self.closed())

    async def closed(self) -> None:
        client = await self.connected()
        await self.face.close(client)
        await self.failure(self.send(client, 1), ClosedError)

    def test_receiving_ends_with_the_client(self) -> Any:
        return self.carry_out(self.receiving_ends_with_the_client())

    async def receiving_ends_with_the_client(self) -> None:
        client = await self.connected()
        inbox = self.face.receive(client, self.channel)
        sender = await self.connected()
        await self.send(sender, 1)
        await inbox.next()
        await self.face.close(client)
        await self.face.close(sender)
        self.assertEqual(await inbox.rest(), [])
