"""Runs the Autobahn test suite against wsmb's protocol class (`make conformance`).

kosoku brings the suite's own case files, and plays the client. It puts a stand-in for the package
`autobahn` on Python's path, so it is kept out of the server's process.

What is not plain OK, and why:

- 6.4.3 and 6.4.4, NON-STRICT: the fast reader looks at text when its frame is complete, so that it
  refuses what is no UTF-8 a moment later than Autobahn's parser, with the same 1007.
- 7.1.6, 7.13.1 and 7.13.2, INFORMATIONAL: whatever a server does. wsmb sends both messages back before
  it closes, and answers the close codes 5000 and 65535 with 1002.
- six of group 9, REFUSED: see TOO_MANY_FRAGMENTS.
- 12 and 13, UNIMPLEMENTED: wsmb does not compress.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kosoku import FailureError, run_fuzzingclient

LIMIT_S = 120
CASES_AT_ONCE = 8
VERDICTS = ("OK", "NON-STRICT", "INFORMATIONAL", "REFUSED", "UNIMPLEMENTED", "FAILED")
GROUPS = {
    "1": "framing",
    "2": "pings and pongs",
    "3": "reserved bits",
    "4": "opcodes",
    "5": "fragmentation",
    "6": "UTF-8",
    "7": "closing handshake",
    "9": "limits and speed",
    "10": "automatic fragmentation",
    "12": "compression",
    "13": "compression",
}
# A message of 4 MiB in fragments of 64, 256 and 1,024 bytes: wsmb takes 1,024 fragments at most.
TOO_MANY_FRAGMENTS = {"9.3.1", "9.3.2", "9.3.3", "9.4.1", "9.4.2", "9.4.3"}
MESSAGE_TOO_BIG = 1009

# If the run is killed, the server goes with it.
_TIED = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()


@contextmanager
def echo_server(*options: str) -> Iterator[int]:
    """The port of a running server. RuntimeError at its end if it has met an error."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [*_TIED, sys.executable, "-m", "tests.conformance.echo_server", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        try:
            with process.stdout as output:
                yield int(output.readline())
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            errors.seek(0)
            text = errors.read().decode(errors="replace")
        if text:
            raise RuntimeError(f"the server has met an error:\n{text}")


async def run_cases(port: int, cases: list[str]) -> list[Any]:
    """The results of these cases, or of all."""
    try:
        return await run_fuzzingclient(f"ws://127.0.0.1:{port}", cases or None, concurrency=CASES_AT_ONCE)
    except FailureError as failure:
        return failure.results


def verdict(result: Any) -> str:
    """One of VERDICTS: the suite's own, which counts the first three as passed, or REFUSED as designed."""
    behavior: str = result.behavior.value
    if result.passed or behavior == "UNIMPLEMENTED":
        return behavior
    is_refused = result.case_id in TOO_MANY_FRAGMENTS and result.remote_close_code == MESSAGE_TOO_BIG
    return "REFUSED" if is_refused else "FAILED"


def report(results: list[Any]) -> int:
    """Print the verdicts, and all about those that are not plain; returns how many cases have failed."""
    verdicts = {result.case_id: verdict(result) for result in results}
    for result in results:
        found = verdicts[result.case_id]
        if found == "REFUSED":
            print(f"{result.case_id} REFUSED: more fragments than wsmb takes; closed with {MESSAGE_TOO_BIG}")
        elif found not in ("OK", "UNIMPLEMENTED"):
            print(
                f"{result.case_id} {found}: {result.result} {result.result_close} "
                f"({result.behavior_close.value}, {result.remote_close_code})"
            )
    counts = Counter((case_id.partition(".")[0], found) for case_id, found in verdicts.items())
    print(f"\n{'':26}" + "".join(f"{name:>15}" for name in VERDICTS))
    for group in dict.fromkeys(group for group, _ in counts):
        print(
            f"{group:>2} {GROUPS.get(group, ''):23}"
            + "".join(f"{counts[group, name]:15}" for name in VERDICTS)
        )
    totals = Counter(verdicts.values())
    print(f"{len(results):>3} cases{'':17}" + "".join(f"{totals[name]:15}" for name in VERDICTS))
    return totals["FAILED"]


def _out_of_time(*_: object) -> None:
    raise TimeoutError(f"not done after {LIMIT_S} seconds")


def main() -> int:
    """0 if no case has failed."""
    parser = argparse.ArgumentParser(description="The Autobahn test suite against wsmb's protocol class.")
    parser.add_argument("cases", nargs="*", help="such as 7.1.6 or '6.*' (default: all)")
    parser.add_argument("--general-parser", action="store_true", help="without wsmb's fast reader")
    arguments = parser.parse_args()
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.alarm(LIMIT_S)
    with echo_server(*(["--general-parser"] if arguments.general_parser else [])) as port:
        failed = report(asyncio.run(run_cases(port, arguments.cases)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
