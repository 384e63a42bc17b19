"""Clients that come, 50 a second, until standard input ends; then what became of them, as JSON.

`python3 arrivals.py USER:PASSWORD`: they come to 127.0.0.1:8888, open a WebSocket, and go.
`python3 arrivals.py USER:PASSWORD CHANNEL`: they come to 127.0.0.1:8889, and send the next number over HTTP.

Who is told 503, by a broker that took the connection and then began to stop, tries again (`again`).
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from collections import Counter

INTERVAL_S = 0.02
LIMIT_S = 60.0
UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def request(credentials: str, channel: str, number: int) -> bytes:
    """What opens a WebSocket as this user, or sends `number` on the channel."""
    basic = base64.b64encode(credentials.encode()).decode()
    head = f"HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {basic}\r\n"
    if not channel:
        return f"GET / {head}{UPGRADE}".encode()
    more = f"Connection: close\r\nIdempotency-Key: {number}\r\nContent-Length: {len(str(number))}\r\n\r\n"
    return f"POST /channels/{channel} {head}{more}{number}".encode()


async def arrive(port: int, opening: bytes) -> str:
    """One client: the status that it is answered with, or what went wrong."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as problem:
        return type(problem).__name__
    try:
        writer.write(opening)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LIMIT_S)
        return head.split()[1].decode()
    except (OSError, EOFError, TimeoutError) as problem:
        return f"{type(problem).__name__} after it was connected"
    finally:
        writer.close()


async def main(credentials: str, channel: str = "") -> None:
    """See above."""
    counts, again, slowest_s = Counter[str](), 0, 0.0
    over = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))

    async def one(number: int) -> None:
        nonlocal again, slowest_s
        begin = time.monotonic()
        opening = request(credentials, channel, number)
        while (status := await arrive(8889 if channel else 8888, opening)) == "503":
            again += 1
            await asyncio.sleep(INTERVAL_S)
        counts[status] += 1
        slowest_s = max(slowest_s, time.monotonic() - begin)

    clients: list[asyncio.Task[None]] = []
    while not over.done():
        clients.append(asyncio.create_task(one(len(clients))))
        await asyncio.sleep(INTERVAL_S)
    await asyncio.gather(*clients)
    print(json.dumps({"clients": counts, "again": again, "slowest_s": round(slowest_s, 2)}))


asyncio.run(main(*sys.argv[1:]))
