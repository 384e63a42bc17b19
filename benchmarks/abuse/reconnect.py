"""A thousand clients that all come back at once after a restart, when no password is in the cache.

The broker and its two hashing threads may use all cores, as they do elsewhere; the clients, which only
wait, need little of them. All users have one password and one hash of bcrypt with cost 10: the broker keeps
what it has found right by user, so that it checks each user's password all the same.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from benchmarks.abuse.crowd import Crowd, Guest
from benchmarks.abuse.findings import Findings
from benchmarks.servers import allow_many_files
from tests.integration.broker_process import PASSWORD, BrokerProcess
from tests.integration.raw_client import basic, opening
from wsmb.cores import PASSWORDS_AT_ONCE
from wsmb.htpasswd import bcrypt_hash, verify

CLIENTS = 1_000
COST = 10
WANTED_S = 10.0
BEYOND_HASHES_S = 2.0
"""Where the machine is so busy, or so slow, that the hashes alone take longer."""
LIMIT_S = 300.0
CASES = ((1, 1), (1, CLIENTS), (100, 1), (100, CLIENTS), (CLIENTS, 1))
"""Of how many users they are, and from how many addresses they come."""
MOST_USERS_IN_TIME = 100
"""For so many users the claim is made: 1,000 passwords take two cores 30 s to hash, whatever we do."""
HASHED = 40


def users_text(count: int) -> str:
    """The password file."""
    password_hash = bcrypt_hash(PASSWORD.encode(), COST)
    return "".join(f"user{number}:{password_hash}\n" for number in range(count))


def guests(users: int, addresses: int) -> list[Guest]:
    """Who comes."""
    requests = [opening(authorization=basic(f"user{number}")) for number in range(users)]
    places = [f"127.1.{number // 250}.{1 + number % 250}" for number in range(addresses)]
    return [Guest(places[number % addresses], requests[number % users]) for number in range(CLIENTS)]


def hashing_s(users: int) -> float:
    """How long the machine needs now for as many hashes, if it does nothing else for us."""
    password = PASSWORD.encode()
    password_hash = bcrypt_hash(password, COST)
    began = time.monotonic()
    with ThreadPoolExecutor(PASSWORDS_AT_ONCE) as pool:
        list(pool.map(lambda _: verify(password, password_hash), range(HASHED)))
    return users * (time.monotonic() - began) / HASHED


def measure(folder: Path) -> Findings:
    """Each of CASES on the same broker, which is restarted in between."""
    allow_many_files()
    found = Findings(
        (
            "users",
            "addresses",
            "half are back, s",
            "all are back, s",
            "the hashes alone, s",
            "turned away with",
        )
    )
    for users, addresses in CASES:
        own = folder / f"{users}-{addresses}"
        own.mkdir()
        broker = BrokerProcess(own)
        (own / "users").write_text(users_text(users))
        broker.start()
        try:
            _restart(broker, users, addresses, found)
        finally:
            broker.kill9()
    return found


def _restart(broker: BrokerProcess, users: int, addresses: int, found: Findings) -> None:
    crowd = Crowd(broker.port, guests(users, addresses))
    crowd.arrive(LIMIT_S)
    broker.stop()
    crowd.leave()
    broker.start()
    arrival = crowd.arrive(LIMIT_S)
    crowd.leave()
    back_s = arrival.back_s or [LIMIT_S]
    told = ", ".join(f"{count} {why}" for why, count in sorted(arrival.answers.items())) or "none"
    is_all = len(arrival.back_s) == CLIENTS
    last_s = back_s[-1] if is_all else "never"
    hashes_s = hashing_s(users)
    found.row(users, addresses, median(back_s), last_s, hashes_s, told)
    who = f"{CLIENTS:,} clients of {users:,} users from {addresses:,} addresses"
    found.claim(f"{who}: all are back", is_all)
    found.claim(f"{who}: none is turned away", not arrival.answers)
    if users <= MOST_USERS_IN_TIME:
        most_s = max(WANTED_S, hashes_s + BEYOND_HASHES_S)
        found.claim(f"{who}: back within {most_s:.0f} s", is_all and back_s[-1] <= most_s)
