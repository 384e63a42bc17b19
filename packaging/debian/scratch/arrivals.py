"""Clients that come, 50 a second, until standard input ends; then what became of them, as JSON.

`python3 arrivals.py USER:PASSWORD`: they come to 127.0.0.1:8888, open a WebSocket, and go.
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


def request(credentials: str) -> bytes:
    """What opens a WebSocket as this user."""
    basic = base64.b64encode(credentials.encode()).decode()
    return (
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:8888\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Basic {basic}\r\n\r\n"
    ).encode()


async def arrive(opening: bytes) -> str:
    """One client: `101`, another status, or what went wrong."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", 8888)
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


async def main(credentials: str) -> None:
    """See above."""
    opening, counts, slowest_s = request(credentials), Counter[str](), 0.0
    over = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))

    async def one() -> None:
        nonlocal slowest_s
        begin = time.monotonic()
        counts[await arrive(opening)] += 1
        slowest_s = max(slowest_s, time.monotonic() - begin)

    clients = []
    while not over.done():
        clients.append(asyncio.create_task(one()))
        await asyncio.sleep(INTERVAL_S)
    await asyncio.gather(*clients)
    print(json.dumps({"clients": counts, "slowest_s": round(slowest_s, 2)}))


asyncio.run(main(sys.argv[1]))
