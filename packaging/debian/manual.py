"""The manual page wsmb(1), to standard output: what `wsmb --help` and the help of its commands say, as it is.

`python3 manual.py DATE`, with the package wsmb in Python's path.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

from wsmb import __version__
from wsmb.cli.main import COMMANDS

WIDTH = 78


def said(*words: str) -> str:
    """What `wsmb` prints on being called with `words`."""
    call = "import sys; from wsmb.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", call, *words]
    environment = {**os.environ, "COLUMNS": str(WIDTH + 2)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def plain(text: str) -> Iterator[str]:
    """Lines for roff that are printed as they are."""
    yield ".nf"
    for line in text.splitlines():
        escaped = line.replace("\\", "\\e").replace("-", "\\-")
        yield f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped
    yield ".fi"


def manual(date: str) -> Iterator[str]:
    """All of its lines."""
    yield f'.TH WSMB 1 "{date}" "wsmb {__version__}"'
    yield ".SH NAME\nwsmb \\- use and look after a WebSocket message broker"
    yield ".SH SYNOPSIS\n.B wsmb\n.I COMMAND\n.RI [ OPTION ...]"
    yield ".SH DESCRIPTION"
    yield from plain(said("--help"))
    for name in COMMANDS:
        yield f".SH WSMB {name.upper()}"
        yield from plain(said(name, "--help"))
    yield ".SH SEE ALSO\nThe broker runs as wsmb.service; /usr/share/doc/wsmb/docs/operations.md says more."


if __name__ == "__main__":
    print("\n".join(manual(sys.argv[1])))
