"""Attack a running broker, and measure what others notice; status 1 if a claim does not hold."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

CASES = ("reconnect", "hostile", "guess", "removed", "corpus")


def main() -> int:
    """Carry out the cases, and print what they find."""
    parser = argparse.ArgumentParser(prog="benchmarks.abuse", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all if none is")
    names = parser.parse_args().cases or CASES
    broken = []
    for name in names:
        if name not in CASES:
            parser.error(f"no such case: {name}")
        began = time.monotonic()
        with TemporaryDirectory(prefix="bench-abuse-") as folder:
            found = importlib.import_module(f"benchmarks.abuse.{name}").measure(Path(folder))
        print(f"## {name} ({time.monotonic() - began:.0f} s)\n\n{found.text()}", flush=True)
        broken += [f"{name}: {text}" for text in found.broken]
    for text in broken:
        print(f"DOES NOT HOLD: {text}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
