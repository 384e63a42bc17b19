"""Which files belong to the project: in a clone, in an unpacked sdist and in any other copy."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

LIMIT_S = 60.0
NOT_OURS = (".git", "PKG-INFO")
"""What git and the making of an sdist add."""


def project_files(folder: Path) -> set[str]:
    """Those that git knows; where it cannot be asked, all but what `.gitignore` names. As in `folder`."""
    return _known_to_git(folder) or set(_not_ignored(folder))


def _known_to_git(folder: Path) -> set[str]:
    """Empty where there is no clone, or no git."""
    if not (folder / ".git").exists():
        return set()
    # A checkout may belong to somebody else, as in a container or after `sudo make`.
    command = ("git", "-c", f"safe.directory={folder.resolve()}", "ls-files", "-z", "--cached")
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return set()
    return {os.fsdecode(name) for name in done.stdout.split(b"\0") if name}


def _not_ignored(folder: Path) -> Iterator[str]:
    patterns = [
        line for line in (folder / ".gitignore").read_text().splitlines() if line[:1] not in ("", "#")
    ]
    for place, folders, files in os.walk(folder):
        inside = Path(place).relative_to(folder)
        folders[:] = [name for name in folders if not _is_ignored(inside / name, patterns, is_folder=True)]
        yield from (str(inside / name) for name in files if not _is_ignored(inside / name, patterns))


def _is_ignored(path: Path, patterns: list[str], *, is_folder: bool = False) -> bool:
    """As git does it, for the kinds of patterns that there are: `/at/the/top`, `anywhere`, and `folder/`."""
    if str(path) in NOT_OURS:
        return True
    for pattern in patterns:
        subject = str(path) if "/" in pattern[:-1] else path.name
        if fnmatch(subject, pattern.strip("/")) and (is_folder or not pattern.endswith("/")):
            return True
    return False
