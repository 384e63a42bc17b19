"""What the asyncio client, and that for scripts, make of what goes wrong around them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from chaos.proxy import Proxy
from tests.integration.broker_process import PASSWORD, USER, BrokerProcess
from tests.integration.reload_case import ReloadCase
from wsmb.client import AdmissionError, BlockingClient, Client


class Words(logging.Handler):
    """What the clients have said, as long as a test runs."""

    def __init__(self, case: ReloadCase) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.told: Callable[[str], None] = lambda line: None
        logger = logging.getLogger("wsmb.client")
        logger.addHandler(self)
        case.addCleanup(logger.removeHandler, self)
        case.addCleanup(setattr, logger, "propagate", logger.propagate)
        case.addCleanup(logger.setLevel, logger.level)
        logger.propagate = False
        logger.setLevel(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.told(record.getMessage())


def _word_of_a_child(client: BlockingClient) -> str:
    """What a client says in a process to which it does not belong. Closing it there is nothing."""
    signal.alarm(10)
    try:
        client.send("sms", 1)
    except RuntimeError as error:
        client.close()
        return str(error)
    return "nothing"


class BreaksTests(ReloadCase):
    def client_of(self, broker: BrokerProcess, port: int = 0, user: str = USER, **options: Any) -> Client:
        url = f"ws://127.0.0.1:{port or broker.port}/"
        return Client(url, user=user, password=PASSWORD, **options)

    def test_a_dead_network_is_noticed(self) -> None:
        broker = self.broker(database="sqlite:///kept.sqlite3", keep_data="true")
        proxy = Proxy(broker.port)
        self.addCleanup(proxy.close)
        words = Words(self)

        async def talk() -> None:
            noticed = asyncio.Event()
            words.told = lambda line: noticed.set() if "silent" in line else None
            async with self.client_of(broker, proxy.port, silence=0.6) as client:
                proxy.stall()
                sending = asyncio.create_task(client.send("sms", 1))
                await noticed.wait()
                proxy.cut()
                proxy.flow()
                self.assertEqual((await sending).stored, 1)

        asyncio.run(talk())
        self.assertIn("silent for 0.6 s", words.lines[0])
        self.assertEqual(words.lines[-1], "connected")
        self.assertNotIn(PASSWORD, "".join(words.lines))

    def test_what_finds_no_room_waits_for_it(self) -> None:
        ini = "[limits]\nmax_waiting_items_per_channel = 10\n"
        broker = self.broker(ini, database="sqlite:///kept.sqlite3", keep_data="always")

        async def talk() -> None:
            async with self.client_of(broker) as client, self.client_of(broker) as receiver:
                posted = [await client.post("sms", number) for number in range(100)]
                await posted[0]
                with self.assertRaises(TimeoutError) as caught:
                    await client.send("sms", 100, timeout=0.01)
                numbers: set[int] = set()
                async for delivery in receiver.receive("sms"):
                    numbers |= set(delivery.data)
                    await delivery.ack()
                    if len(numbers) >= 100:
                        break
                await client.flush()
                self.assertEqual([one.result().stored for one in posted], [1] * 100)
            self.assertLessEqual(set(range(100)), numbers)
            self.assertIn("not confirmed in time: Too many", str(caught.exception))

        asyncio.run(talk())

    def test_who_is_not_let_in_any_more_is_told(self) -> None:
        broker = self.broker(keep_data="false")
        Words(self)

        async def talk() -> None:
            async with self.client_of(broker, user="apr1") as client:
                await client.ping()
                self.remove_user(broker, "apr1")
                with self.assertRaises(AdmissionError):
                    async for _ in client.receive("sms"):
                        pass
                with self.assertRaises(AdmissionError):
                    await client.send("sms", 1)

        asyncio.run(talk())

    def test_who_does_not_take_what_comes_does_not_read_it(self) -> None:
        broker = self.broker("[server]\nmax_outstanding_bytes = 1048576\n", keep_data="false")
        Words(self)

        async def talk() -> None:
            async with self.client_of(broker) as receiver, self.client_of(broker) as sender:
                deliveries = receiver.receive("sms", ack=False)
                first = asyncio.create_task(anext(deliveries))
                await asyncio.sleep(0)
                await receiver.ping()
                for _ in range(60):
                    await sender.send("sms", "x" * 500_000)
                self.assertEqual(len((await first).data[0]), 500_000)
                await deliveries.aclose()

        asyncio.run(talk())
        self.assertIn("does not read: ended", broker.log())

    def test_posted_and_refused(self) -> None:
        broker = self.broker("[access]\nallow[] = qa send sms\n", keep_data="false")

        async def talk() -> None:
            with self.assertRaises(Exception) as caught:
                async with self.client_of(broker, max_pending=10) as client:
                    posted = [await client.post(channel, 1) for channel in ("sms", "secret") * 20]
            self.assertEqual(str(caught.exception)[:9], "Forbidden")
            self.assertEqual([one.exception() is None for one in posted], [True, False] * 20)

        asyncio.run(talk())

    def test_before_and_after(self) -> None:
        client = BlockingClient("ws://127.0.0.1:1/", user=USER, password=PASSWORD)
        with self.assertRaises(RuntimeError):
            client.send("sms", 1)
        client.close()

        async def early() -> None:
            await Client("ws://127.0.0.1:1/", user=USER, password=PASSWORD).send("sms", 1)

        with self.assertRaises(RuntimeError):
            asyncio.run(early())

    def test_where_it_does_not_belong(self) -> None:
        broker = self.broker(keep_data="false")
        client = self.client_of(broker)

        async def elsewhere() -> None:
            with self.assertRaisesRegex(RuntimeError, "another event loop"):
                await client.send("sms", 1)

        async def here() -> None:
            async with client:
                await asyncio.to_thread(asyncio.run, elsewhere())

        asyncio.run(here())
        with BlockingClient(f"ws://127.0.0.1:{broker.port}/", user=USER, password=PASSWORD) as parent:
            said = os.pipe()
            child = os.fork()
            if not child:
                os.write(said[1], _word_of_a_child(parent).encode())
                os._exit(0)
            os.waitpid(child, 0)
            os.close(said[1])
            self.assertIn("before a fork", os.read(said[0], 1000).decode())
            os.close(said[0])
            self.assertTrue(parent.ping())

    def test_left_and_received_again_at_once(self) -> None:
        broker = self.broker(database="sqlite:///kept.sqlite3", keep_data="true")

        async def one(client: Client) -> object:
            async for delivery in client.receive("sms", timeout=0.1):
                await delivery.ack()
                return delivery.data
            return None

        async def talk() -> None:
            async with self.client_of(broker) as client:
                await client.send("sms", 1)
                self.assertEqual(await one(client), [1])
                self.assertIsNone(await one(client))

        asyncio.run(talk())

    def test_one_thread_closes_what_another_waits_for(self) -> None:
        broker = self.broker(database="sqlite:///kept.sqlite3", keep_data="true")
        ends: list[object] = []
        client = BlockingClient(f"ws://127.0.0.1:{broker.port}/", user=USER, password=PASSWORD)
        client.connect()
        client.send("sms", 1)
        waiting = threading.Event()

        def receive() -> None:
            for delivery in client.receive("sms"):
                delivery.ack()
                waiting.set()
            ends.append("ended")

        thread = threading.Thread(target=receive)
        thread.start()
        waiting.wait()
        client.close()
        client.close()
        thread.join()
        self.assertEqual(ends, ["ended"])

    def test_threads_share_a_client(self) -> None:
        broker = self.broker(keep_data="false")
        numbers: list[int] = []
        with BlockingClient(f"ws://127.0.0.1:{broker.port}/", user=USER, password=PASSWORD) as client:
            ready = threading.Event()

            def receive() -> None:
                deliveries = client.receive("sms", timeout=0.5)
                ready.set()
                for delivery in deliveries:
                    numbers.extend(delivery.data)
                    delivery.ack()

            def send(start: int) -> None:
                with BlockingClient(f"ws://127.0.0.1:{broker.port}/", user=USER, password=PASSWORD) as other:
                    while other.send("sms", start).receivers == 0:
                        pass
                    for number in range(start + 1, start + 50):
                        other.send("sms", number)

            threads = [threading.Thread(target=receive)]
            threads += [threading.Thread(target=send, args=(start,)) for start in (0, 100)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(sorted(numbers), [*range(50), *range(100, 150)])
