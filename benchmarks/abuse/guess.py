"""Whether the time of a refusal tells which users there are.

Wrong passwords of a user that is there and of one that is not, each on a connection of its own, one
after the other, in random order; the limits are so high that each of them is looked at. Broker and client
go before all else on the machine, if that is allowed.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from statistics import median

from benchmarks.abuse.findings import Findings
from benchmarks.abuse.priority import before_all_else
from benchmarks.servers import LOAD_CORE, SERVER_CORE, on_core
from tests.integration.broker_process import PASSWORD, BrokerProcess
from tests.integration.raw_client import RawClient, basic, connect, opening
from wsmb.bench.results import percentile
from wsmb.htpasswd import bcrypt_hash

TRIES = 500
MOST_APART = 0.05
HASHES = {
    "bcrypt, cost 10": bcrypt_hash(PASSWORD.encode(), 10),
    "APR1": "$apr1$wsmbTest$aL5Do8J5f1vdtQ/eu5vWp.",
}
SETTINGS = """
[limits]
max_failures = 10000
max_failures_per_address = 10000
max_failures_per_user = 10000
"""


def refusal_s(port: int, user: str, password: str) -> float:
    """How long the answer to a wrong password takes, from the request on."""
    connection = connect(port)
    request = opening(authorization=basic(user, password))
    began = time.perf_counter()
    client = RawClient(connection, request)
    took_s = time.perf_counter() - began
    client.close()
    if client.status != 401:
        raise RuntimeError(f"a wrong password was answered with {client.status}")
    return took_s


def took_s(port: int) -> dict[str, list[float]]:
    """By user, in order of size."""
    users = ["known", "nobody"] * TRIES
    random.shuffle(users)
    took: dict[str, list[float]] = {"known": [], "nobody": []}
    for number, user in enumerate(users):
        took[user].append(refusal_s(port, user, f"wrong {number}"))
    return {user: sorted(times) for user, times in took.items()}


def measure(folder: Path) -> Findings:
    """For each kind of hash."""
    found = Findings(("hashes", "user", "p10, ms", "median, ms", "p90, ms", "median / the other's"))
    for kind, password_hash in HASHES.items():
        own = folder / kind
        own.mkdir()
        broker = BrokerProcess(own, ini=SETTINGS)
        (own / "users").write_text(f"known:{password_hash}\n")
        with on_core(SERVER_CORE):
            broker.start()
        try:
            os.sched_setaffinity(0, {LOAD_CORE})
            with before_all_else(broker.process_id, with_new_threads=True):
                took = took_s(broker.port)
        finally:
            os.sched_setaffinity(0, {SERVER_CORE, LOAD_CORE})
            broker.kill9()
        medians = {user: median(times) for user, times in took.items()}
        ratio = medians["known"] / medians["nobody"]
        for user, times in took.items():
            spread = (1e3 * percentile(times, 10), 1e3 * medians[user], 1e3 * percentile(times, 90))
            found.row(kind, user, *spread, f"{ratio if user == 'known' else 1 / ratio:.4f}")
        found.claim(f"{kind}: medians within {MOST_APART:.0%}", abs(ratio - 1) <= MOST_APART)
    return found
