"""`wsmb`, `twistd` and a `python3` that has both, as programs in a folder, as in a virtual environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.integration.broker_process import environment

_PROGRAMS = {
    "wsmb": "import sys\nfrom wsmb.cli.main import main\nsys.exit(main())\n",
    "twistd": "from twisted.scripts.twistd import run\nrun()\n",
}


def installed(folder: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment in which they are found, once they are in `folder`."""
    for name, program in _PROGRAMS.items():
        file = folder / name
        file.write_text(f"#!{sys.executable}\n{program}")
        file.chmod(0o755)
    python = folder / "python3"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return environment({"PATH": f"{folder}:{os.environ['PATH']}", **(extra or {})})
