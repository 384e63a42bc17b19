"""Power cuts: undo every write to a folder's files since their last fsync.

`power_cut/` is a library in C that is preloaded into a process and keeps what is needed for it. It is
compiled when it is first wanted.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

_SOURCES = Path(__file__).parent / "power_cut"
_RECORD = struct.Struct("=qqq")
_COMPILE_S = 60


def can_compile() -> bool:
    """Whether there is a C compiler."""
    return shutil.which("gcc") is not None


def compile_library(folder: Path) -> Path:
    """The library, compiled into `folder`. CalledProcessError with the compiler's words if it does not."""
    library = folder / "power_cut.so"
    command = ["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    sources = [str(path) for path in sorted(_SOURCES.glob("*.c"))]
    subprocess.run(
        [*command, "-o", str(library), *sources, "-ldl", "-lpthread"], check=True, timeout=_COMPILE_S
    )
    return library


@dataclass(frozen=True)
class Undone:
    """What one power cut took: how many writes, in how many bytes of them."""

    writes: int = 0
    size_bytes: int = 0


class Disk:
    """A folder whose files lose at a power cut what was not synced; `files` and `logs` are in `folder`."""

    def __init__(self, folder: Path, library: Path) -> None:
        self.files, self.logs = folder / "files", folder / "logs"
        self.files.mkdir(parents=True)
        self.logs.mkdir()
        self._library = library

    @property
    def environment(self) -> dict[str, str]:
        """What a process has to have in its environment to write to this disk."""
        return {
            "LD_PRELOAD": str(self._library),
            "POWER_CUT_FILES": str(self.files),
            "POWER_CUT_LOGS": str(self.logs),
        }

    def fail_fsyncs(self, probability: float, from_call: int = 1) -> None:
        """From now on fsync fails with EIO: with this probability, from a process's so manieth call on."""
        control = self.logs / "fsync-fails"
        if probability:
            new = self.logs / "fsync-fails.tmp"
            new.write_text(f"{probability} {from_call}")
            new.rename(control)
        else:
            control.unlink(missing_ok=True)

    def cut_power(self, random_numbers: random.Random | None = None) -> Undone:
        """Undo what was not synced. Nobody may have the files open.

        With `random_numbers`, only the last of a file's writes are undone, random how many: a disk may well
        have written what nobody has asked it to.
        """
        names = {path.name.removesuffix(".writes") for path in self.logs.glob("*.writes")}
        names |= {path.stem for kind in ("new", "gone") for path in self.logs.glob(f"*.{kind}")}
        undone = [self._undo(name, random_numbers) for name in sorted(names) if not name.endswith(".gone")]
        for shared_memory in self.files.glob("*-shm"):
            shared_memory.unlink()
        writes = sum(one.writes for one in undone)
        return Undone(writes, sum(one.size_bytes for one in undone))

    def _undo(self, name: str, random_numbers: random.Random | None) -> Undone:
        file, new, gone = self.files / name, self.logs / f"{name}.new", self.logs / f"{name}.gone"
        undone = Undone()
        if new.exists():
            file.unlink(missing_ok=True)
            new.unlink()
            (self.logs / f"{name}.writes").unlink(missing_ok=True)
        else:
            undone = _play_back(self.logs / f"{name}.writes", file, random_numbers)
        if gone.exists():
            gone.rename(file)
            undone = _play_back(self.logs / f"{name}.gone.writes", file, random_numbers)
        return undone


def _play_back(log: Path, file: Path, random_numbers: random.Random | None) -> Undone:
    """Undo the log's changes of the file, the last one first, and remove the log."""
    records = _records(log.read_bytes()) if log.exists() else []
    log.unlink(missing_ok=True)
    if random_numbers is not None:
        records = records[random_numbers.randint(0, len(records)) :]
    if not records or not file.exists():
        return Undone()
    with file.open("r+b") as opened:
        for offset, old_size, old in reversed(records):
            opened.seek(offset)
            opened.write(old)
            opened.truncate(old_size)
        os.fsync(opened.fileno())
    return Undone(len(records), sum(len(old) for _, _, old in records))


def _records(log: bytes) -> list[tuple[int, int, bytes]]:
    """(offset, old size, old bytes) of each record. A last one that is not whole stands for nothing:
    the process was killed before it made that change."""
    found, start = [], 0
    while start + _RECORD.size <= len(log):
        offset, old_size, length = _RECORD.unpack_from(log, start)
        start += _RECORD.size + length
        if start <= len(log):
            found.append((offset, old_size, log[start - length : start]))
    return found
