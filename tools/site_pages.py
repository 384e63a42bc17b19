"""Puts the pages of the site into a folder, for Zensical: `make docs`.

They are README.md and all that links lead to from there, in their places in the repository, so that a link
means the same on the site as in the repository.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_LINK = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?\)")


def _target(page: Path, link: str) -> Path:
    """The file that a link means; of a folder, its README.md. Raises FileNotFoundError."""
    target = (page.parent / link).resolve()
    if target.is_dir():
        target = target / "README.md"
    if not target.is_file() or not target.is_relative_to(ROOT):
        raise FileNotFoundError(f"{page.relative_to(ROOT)}: ({link}) is no file of the repository")
    return target


def _text(page: Path) -> str:
    """The page, with links to files in the place of links to folders."""

    def to_file(found: re.Match[str]) -> str:
        return f"{found[1]}{_relative(_target(page, found[2]), page.parent)}{found[3] or ''})"

    return _LINK.sub(to_file, page.read_text())


def _relative(target: Path, folder: Path) -> str:
    up = 0
    while not target.is_relative_to(folder):
        folder, up = folder.parent, up + 1
    return "../" * up + target.relative_to(folder).as_posix()


def linked(start: Path) -> list[Path]:
    """`start` and every file that links lead to from there."""
    found = [start]
    for page in found:
        if page.suffix == ".md":
            targets = [_target(page, link) for _, link, _ in _LINK.findall(page.read_text())]
            found += [target for target in dict.fromkeys(targets) if target not in found]
    return found


def lay_out(folder: Path) -> None:
    """All pages, in `folder`, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    for file in linked(ROOT / "README.md"):
        place = folder / file.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".md":
            place.write_text(_text(file))
        else:
            shutil.copy(file, place)


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]))
