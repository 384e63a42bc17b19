"""How fast the Python client on asyncio is (`make bench-client`): one client, one broker, a core for each.

Items of 64 bytes, one in a frame, each with a confirm and a message id, as the client sends them. Posted, so
that `max_pending` are unconfirmed at a time; or one sent after the other. The receiver acknowledges each
delivery. The processor times are what an item costs client and broker; they hardly change when others use the
machine, the figures before them do. Fails if less than WANTED_PER_S are confirmed a second.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.servers import LOAD_CORE, wsmb_running
from tests.integration.broker_process import PASSWORD, USER, BrokerProcess
from wsmb.client import Client

WANTED_PER_S = 30_000
ROUNDS = 3
ITEM = "x" * 62
"""64 bytes with its quotes."""
POSTED, SENT, RECEIVED = 60_000, 1_000, 20_000
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass
class Figures:
    """Of one part of a round."""

    per_s: float
    client_us: float
    broker_us: float


async def post(client: Client) -> int:
    """Many at a time."""
    for _ in range(POSTED):
        await client.post("posted", ITEM)
    await client.flush()
    return POSTED


async def send(client: Client) -> int:
    """One after the other."""
    for _ in range(SENT):
        await client.send("sent", ITEM)
    return SENT


async def relay(client: Client) -> int:
    """From one client through the broker to another one, which acknowledges."""
    url = client.url
    async with Client(url, user=USER, password=PASSWORD) as receiver:

        async def receive() -> None:
            left = RECEIVED
            async for delivery in receiver.receive("relayed", prefetch=1_000):
                left -= len(delivery.data)
                await delivery.ack()
                if not left:
                    return

        receiving = asyncio.create_task(receive())
        await receiver.ping()
        for _ in range(RECEIVED):
            await client.post("relayed", ITEM)
        await client.flush()
        await receiving
    return RECEIVED


PARTS: dict[str, Callable[[Client], Awaitable[int]]] = {
    "posted": post,
    "sent one at a time": send,
    "posted to another client of the same process, which acknowledges": relay,
}


async def one_round(broker: BrokerProcess, part: Callable[[Client], Awaitable[int]]) -> Figures:
    """The figures of one part."""
    async with Client(f"ws://127.0.0.1:{broker.port}/", user=USER, password=PASSWORD) as client:
        began_s, own_s, ticks = time.perf_counter(), time.process_time(), broker.cpu_ticks()
        count = await part(client)
        took_s = time.perf_counter() - began_s
        own_s = time.process_time() - own_s
        broker_s = (broker.cpu_ticks() - ticks) / TICKS_PER_S
    return Figures(count / took_s, 1e6 * own_s / count, 1e6 * broker_s / count)


def main() -> int:
    """Measure, and print the table."""
    print("| | keep_data | items/s, median | least | most | client, µs | broker, µs |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    slowest = float("inf")
    for keep_data in ("false", "true", "always"):
        # Not in /tmp, which may be memory: the database is to be on a disk.
        with (
            TemporaryDirectory(prefix=".bench-client-", dir=".") as name,
            wsmb_running(Path(name).absolute(), "sqlite:///kept.sqlite3", keep_data) as (_, broker),
        ):
            os.sched_setaffinity(0, {LOAD_CORE})
            for label, part in PARTS.items():
                rounds = [asyncio.run(one_round(broker, part)) for _ in range(ROUNDS)]
                rates = [one.per_s for one in rounds]
                costs = [median(one.client_us for one in rounds), median(one.broker_us for one in rounds)]
                cells = [f"{value:,.0f}" for value in (median(rates), min(rates), max(rates), *costs)]
                print("| " + " | ".join((label, keep_data, *cells)) + " |", flush=True)
                if part is post:
                    slowest = min(slowest, median(rates))
    reached = "reached" if slowest >= WANTED_PER_S else "MISSED"
    print(f"\nwanted: {WANTED_PER_S:,} posted and confirmed a second; {reached}")
    return 0 if slowest >= WANTED_PER_S else 1


if __name__ == "__main__":
    sys.exit(main())
