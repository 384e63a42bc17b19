"""Kill the broker while one client sends and another one receives; look at each item (`make chaos-clients`).

The programs are commands, so that clients in any language can be tried: the sender is given the number of
items, and sends 0, 1, 2, … on the channel `jobs`; the receiver prints each on a line, then acknowledges it.
Both find the broker in WSMB_URL, WSMB_USER and WSMB_PASSWORD. Wrong, and the exit status 1, is: an item that
never came, one that was stored twice, one that stays in the table, a program that ended otherwise than well.

SQLite, `keep_data = always`. A trigger in the database notes each item that is stored.
"""

from __future__ import annotations

import argparse
import random
import shlex
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.broker_process import PASSWORD, TIED, USER, BrokerProcess, environment

ITEMS, KILLS = 100_000, 20
SENDER = (sys.executable, "-m", "chaos.programs.send")
RECEIVER = (sys.executable, "-m", "chaos.programs.receive")

_POLL_S = 0.005
_STUCK_S = 60.0
_NOTE = """
CREATE TABLE noted (data TEXT);
CREATE TRIGGER note AFTER INSERT ON mq_data BEGIN INSERT INTO noted (data) VALUES (NEW.data); END;
"""


@dataclass
class Outcome:
    """What came of a run. `wrong`: each a line."""

    items: int
    kills: int = 0
    seconds: float = 0.0
    twice_received: int = 0
    wrong: list[str] = field(default_factory=list)


class Run:
    """A broker, a sender and a receiver in `folder`."""

    def __init__(self, folder: Path, items: int, sender: Sequence[str], receiver: Sequence[str]) -> None:
        self._items = items
        self._sender = (*sender, str(items))
        self._receiver = tuple(receiver)
        self._folder = folder
        self._database = folder / "kept.sqlite3"
        self._printed = folder / "receiver.stdout"
        ini = f"[database]\ndriver = sqlite\nname = {self._database}\nprefix = mq_\n"
        self.broker = BrokerProcess(folder, ini=ini, keep_data="always")
        self._started: list[subprocess.Popen[bytes]] = []

    def carry_out(self, kills: int, seed: int) -> Outcome:
        """Send all, with so many kills on the way."""
        began_s = time.monotonic()
        outcome = Outcome(self._items)
        self.broker.start()
        self._query_script(_NOTE)
        receiver = self._start("receiver", self._receiver)
        sender = self._start("sender", self._sender)
        try:
            chosen = random.Random(seed)
            for after in sorted(chosen.sample(range(self._items * 9 // 10), kills)):
                self._await(lambda after=after: self._stored() >= after, "items to be stored")  # type: ignore[misc]
                self.broker.kill9()
                outcome.kills += 1
                self.broker.start()
            self._await(lambda: sender.poll() is not None, "the sender to end")
            self._await(lambda: len(set(self._lines())) >= self._items, "all to arrive")
        except TimeoutError as error:
            outcome.wrong.append(str(error))
        self._look(outcome, sender, receiver)
        outcome.seconds = time.monotonic() - began_s
        return outcome

    def _look(
        self, outcome: Outcome, sender: subprocess.Popen[bytes], receiver: subprocess.Popen[bytes]
    ) -> None:
        if sender.poll() != 0:
            outcome.wrong.append(f"the sender has ended with {sender.poll()}")
        if receiver.poll() is not None:
            outcome.wrong.append(f"the receiver has ended with {receiver.poll()}")
        came = Counter(self._lines())
        outcome.twice_received = sum(times - 1 for times in came.values())
        stored = Counter(data for (data,) in self._query("SELECT data FROM noted"))
        missing = [number for number in range(self._items) if str(number) not in came]
        twice = [data for data, times in stored.items() if times > 1]
        if missing:
            outcome.wrong.append(f"{len(missing)} have not arrived, such as {missing[:5]}")
        if twice:
            outcome.wrong.append(f"{len(twice)} were stored twice, such as {twice[:5]}")
        receiver.terminate()
        receiver.wait(_STUCK_S)
        self.broker.stop()
        ((left,),) = self._query("SELECT COUNT(*) FROM mq_data")
        if left:
            outcome.wrong.append(f"{left} rows are left in the table")

    def close(self) -> None:
        """End all that still runs, at once."""
        for process in self._started:
            process.kill()
            process.wait()
        self.broker.kill9()

    def words(self) -> str:
        """What the programs have said."""
        names = ("sender", "receiver")
        return "".join((self._folder / f"{name}.stderr").read_text()[-2_000:] for name in names)

    def _start(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        told = {
            "WSMB_URL": f"ws://127.0.0.1:{self.broker.port}/",
            "WSMB_USER": USER,
            "WSMB_PASSWORD": PASSWORD,
        }
        with (
            (self._folder / f"{name}.stdout").open("wb") as out,
            (self._folder / f"{name}.stderr").open("wb") as err,
        ):
            process = subprocess.Popen(
                [*TIED, *command], env=environment(told), stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )
        self._started.append(process)
        return process

    def _await(self, found: object, what: str) -> None:
        """Return once `found` is so; TimeoutError if nothing is stored or received for so long."""
        seen, last_s = (-1, -1), time.monotonic()
        while not found():  # type: ignore[operator]
            now = (self._stored(), self._printed.stat().st_size)
            if now != seen:
                seen, last_s = now, time.monotonic()
            elif time.monotonic() - last_s > _STUCK_S:
                raise TimeoutError(f"nothing has happened for {_STUCK_S:g} s while waiting for {what}")
            time.sleep(_POLL_S)

    def _lines(self) -> list[str]:
        return self._printed.read_text().split("\n")[:-1]

    def _stored(self) -> int:
        ((number,),) = self._query("SELECT COALESCE(MAX(rowid), 0) FROM noted")
        return int(number)

    def _query(self, statement: str) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(self._database, isolation_level=None, timeout=30)) as connection:
            return connection.execute(statement).fetchall()

    def _query_script(self, statements: str) -> None:
        with closing(sqlite3.connect(self._database, isolation_level=None, timeout=30)) as connection:
            connection.executescript(statements)


def run(
    folder: Path,
    items: int,
    kills: int,
    seed: int,
    sender: Sequence[str] = SENDER,
    receiver: Sequence[str] = RECEIVER,
) -> Outcome:
    """One run. What its programs have said is added if anything was wrong."""
    one = Run(folder, items, sender, receiver)
    try:
        outcome = one.carry_out(kills, seed)
    finally:
        one.close()
    if outcome.wrong:
        outcome.wrong.append(one.words())
    return outcome


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="chaos.clients", description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="of when it is killed")
    parser.add_argument("--sender", type=shlex.split, default=SENDER, help="the command of another client")
    parser.add_argument("--receiver", type=shlex.split, default=RECEIVER)
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="chaos-clients-") as folder:
        outcome = run(Path(folder), given.items, given.kills, given.seed, given.sender, given.receiver)
    print(
        f"{outcome.items:,} items, the broker killed {outcome.kills} times, {outcome.seconds:.0f} s; "
        f"{outcome.twice_received:,} received again"
    )
    print("\n".join(outcome.wrong) or "each arrived, none was stored twice")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
