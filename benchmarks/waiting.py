"""Prints what waiting items cost (`make bench-waiting`): how fast they are kept and handed out, and the
broker's memory, for 1,000 to 1,000,000 items waiting on one channel in SQLite.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests.integration.broker_process import BrokerProcess
from tests.integration.raw_client import PONG, RawClient, client_frame, command, connect

COUNTS = (1_000, 10_000, 100_000, 1_000_000)
LIMIT = 100
ITEM = "x" * 40
BLOCK = 1_000
TIMEOUT_S = 120.0
PING_NAME = b"wsmb "
"""What the payload of the broker's pings begins with."""


def keep(broker: BrokerProcess, count: int) -> float:
    """Seconds until `count` items are committed; the answer to a ping comes behind all commits."""
    sender = RawClient(connect(broker.port))
    sender.socket.settimeout(TIMEOUT_S)
    block = client_frame(command("send-message", "waiting", data=[ITEM])) * BLOCK
    began = time.perf_counter()
    for _ in range(count // BLOCK):
        sender.send(block)
    sender.send_text(command("ping", "waiting"))
    sender.read_frame(TIMEOUT_S)  # the greeting, which is the first frame's receipt
    sender.read_frame(TIMEOUT_S)
    sender.close()
    return time.perf_counter() - began


def hand_out(broker: BrokerProcess, count: int) -> float:
    """Seconds until a receiver has got `count` items."""
    receiver = RawClient(connect(broker.port))
    began = time.perf_counter()
    receiver.send_text(command("receive-message", "waiting"))
    receiver.socket.settimeout(TIMEOUT_S)
    mark = ITEM.encode()
    got, rest = 0, b""
    while got < count:
        data = rest + receiver.socket.recv(1 << 20)
        got += data.count(mark)
        # What was sent before is proved. (Pongs that nobody asked for would be read ever more slowly.)
        receiver.send(client_frame(b"", PONG) * data.count(PING_NAME))
        # An item may be cut: what could be its beginning is looked at again with what comes next.
        counted = max((data.rfind(one) + len(one) for one in (mark, PING_NAME) if one in data), default=0)
        rest = data[counted:][-len(mark) + 1 :]
    receiver.close()
    return time.perf_counter() - began


def main() -> None:
    """One broker and one file for each count."""
    print("| waiting | kept, items/s | handed out, items/s | memory when they wait, MB | after | ")
    print("| --- | --- | --- | --- | --- |")
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            broker = BrokerProcess(
                Path(folder), ini=f"[database]\nlimit={LIMIT}\n", database="sqlite:///kept.sqlite3"
            )
            broker.start()
            try:
                kept_s = keep(broker, count)
                broker.kill9()
                broker.start()
                waiting_kib = broker.rss_kb()
                handed_out_s = hand_out(broker, count)
                after_kib = broker.rss_kb()
            finally:
                broker.kill9()
        print(
            f"| {count:,} | {count / kept_s:,.0f} | {count / handed_out_s:,.0f} "
            f"| {waiting_kib * 1.024 / 1_000:.1f} | {after_kib * 1.024 / 1_000:.1f} |"
        )


if __name__ == "__main__":
    main()
