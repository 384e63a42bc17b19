"""Kill `wsmb receive --exec` with -9 again and again: each item's command has its effect at least once.

Every tenth command fails at its first try. What it has done is seen in a file that the commands append to.
What comes twice after a kill: the commands that ran (they go on), and what was done of a frame whose other
items were not. With the broker's `limit = 1` each item has its own frame, and only the former are left.
"""

from __future__ import annotations

import argparse
import random
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.integration.broker_process import LIMIT_S, PASSWORD, TIED, USER, BrokerProcess, environment, poll

_INI = """\
[server]
keep_data = true
max_deliveries = 0
[database]
url = sqlite:///{folder}/kept.sqlite3
limit = {limit}
"""
_COMMAND = 'case $WSMB_REDELIVERED:$WSMB_ITEM in 0:*0) exit 1;; esac; echo "$WSMB_ITEM" >> {file}'
_WSMB = (sys.executable, "-m", "wsmb.cli.main")
_CHANNEL = "jobs"


@dataclass(frozen=True)
class Outcome:
    """How often each item's command has had its effect."""

    items: int
    kills: int
    never: int
    once: int
    more: int
    most: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.items:,} items, {self.kills} kills: {self.never} commands never had their effect,"
            f" {self.once:,} once, {self.more:,} more often ({self.most} times at most); {self.seconds:.0f} s"
        )


class Gateway:
    """`wsmb receive --exec`, to be killed and started again."""

    def __init__(self, folder: Path, port: int, jobs: int) -> None:
        self.file = folder / "effects"
        self.file.touch()
        self._folder = folder
        self.environ = environment(
            {"WSMB_URL": f"ws://127.0.0.1:{port}/", "WSMB_USER": USER, "WSMB_PASSWORD": PASSWORD}
        )
        self._jobs = jobs
        self._process: subprocess.Popen[bytes] | None = None

    def effects(self) -> Counter[int]:
        """How often each item was dealt with. The last line may be half a line."""
        whole = self.file.read_text().rpartition("\n")[0]
        return Counter(int(line) for line in whole.splitlines())

    def start(self) -> None:
        """Returns at once."""
        command = _COMMAND.format(file=shlex.quote(str(self.file)))
        argv = ["receive", _CHANNEL, f"--jobs={self._jobs}", "--retry-delay=0.2", "--exec", command]
        with (self._folder / "stderr").open("ab") as words:
            self._process = subprocess.Popen([*TIED, *_WSMB, *argv], env=self.environ, stderr=words)

    def end(self, *, kill: bool) -> int:
        """Returns its exit status when it is gone."""
        process, self._process = self._process, None
        if process is None:
            return 0
        if kill:
            process.kill()
        else:
            process.terminate()
        return process.wait(LIMIT_S)


def run(folder: Path, *, items: int, kills: int, jobs: int = 4, limit: int = 10, seed: int = 1) -> Outcome:
    """Send the numbers of so many items, kill as often while they are worked on, and let it finish."""
    began_s = time.monotonic()
    chance = random.Random(seed)
    broker = BrokerProcess(folder, ini=_INI.format(folder=folder, limit=limit))
    broker.start()
    gateway = Gateway(folder, broker.port, jobs)
    try:
        numbers = "".join(f"{number}\n" for number in range(items)).encode()
        subprocess.run([*_WSMB, "send", _CHANNEL], env=gateway.environ, input=numbers, check=True)
        for kill in range(kills):
            gateway.start()
            enough = items * (kill + chance.random()) / (kills + 1)
            poll(lambda: len(gateway.effects()) > enough, "more effects")  # noqa: B023
            time.sleep(chance.uniform(0, 0.05))
            gateway.end(kill=True)
        if len(gateway.effects()) == items:
            raise RuntimeError("all was done before the last kill")
        gateway.start()
        poll(lambda: len(gateway.effects()) == items, "the rest")
        status = gateway.end(kill=False)
        if status:
            raise RuntimeError(f"it ended with {status}: {(folder / 'stderr').read_text()[-2000:]}")
        broker.stop()
    finally:
        gateway.end(kill=True)
        broker.kill9()
    effects = gateway.effects()
    once = sum(count == 1 for count in effects.values())
    seconds = time.monotonic() - began_s
    return Outcome(
        items, kills, items - len(effects), once, len(effects) - once, max(effects.values()), seconds
    )


def main() -> int:
    """The exit status: 1 if an item's command never had its effect."""
    parser = argparse.ArgumentParser(prog="chaos.exec_kills", description=__doc__)
    parser.add_argument("--items", type=int, default=2_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument(
        "--limit", type=int, default=10, help="items in a frame, at most (the broker's setting)"
    )
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="chaos-exec-") as folder:
        outcome = run(Path(folder), **vars(given))
    print(outcome)
    return 1 if outcome.never else 0


if __name__ == "__main__":
    sys.exit(main())
