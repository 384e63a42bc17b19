"""Put the source of the distribution wsmb-client together: `python packaging/client/stage.py FOLDER`.

It has the same modules as the distribution wsmb, as far as the clients need them.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
MODULES = ("__init__.py", "errors.py", "wire.py", "py.typed")


def stage(folder: Path) -> None:
    """Copy what belongs to it into `folder`, which must not exist yet."""
    package = folder / "wsmb"
    shutil.copytree(
        CHECKOUT / "wsmb" / "client", package / "client", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in MODULES:
        shutil.copy(CHECKOUT / "wsmb" / name, package)
    shutil.copy(CHECKOUT / "LICENSE", folder)
    shutil.copy(CHECKOUT / "docs" / "python-client.md", folder / "README.md")
    shutil.copy(Path(__file__).with_name("pyproject.toml"), folder)


if __name__ == "__main__":
    stage(Path(sys.argv[1]))
