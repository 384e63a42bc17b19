"""A scratch root with a systemd of its own, and what can be done in there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIMIT_S = 120.0
BOOTED = ("running", "degraded")
AS_FIRST_USER = ("--user", "wsmb", "--password-file", "/etc/wsmb/first-password")
# What the system itself writes, and what systemd and dpkg keep of everything that ever was.
NOT_OURS = (
    *("/dev", "/proc", "/run", "/sys", "/tmp", "/debs", "/var/log", "/var/lib/dpkg", "/var/cache"),
    *("/etc/machine-id", "/var/lib/systemd", "/var/lib/private", "/etc/group-", "/etc/gshadow-"),
)


class Scratch:
    """A copy of `root` with its systemd running."""

    def __init__(self, root: Path, folder: Path, packages: list[Path]) -> None:
        self.folder = folder / "root"
        subprocess.run(["cp", "-a", root, self.folder], check=True)
        # debootstrap makes none.
        (self.folder / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
        (self.folder / "debs").mkdir()
        for package in packages:
            shutil.copy(package, self.folder / "debs")
        self._boot = subprocess.Popen([HERE / "boot", self.folder], stdin=subprocess.DEVNULL)
        self._init = 0
        poll(self._find_init, "systemd to start")
        poll(lambda: self.run("systemctl", "is-system-running", check=False) in BOOTED, "the boot")

    def _find_init(self) -> bool:
        """The process whose root is the scratch root and that is number 1 of its own processes."""
        for number, inside, command in _processes(self.folder):
            if inside == "1" and b"/systemd\0" in command:
                self._init = number
        return bool(self._init)

    def kill_broker(self, number: signal.Signals) -> None:
        """Send the broker a signal, from outside."""
        main = self.show("MainPID")
        for process, inside, command in _processes(self.folder):
            if inside == main and b"/usr/libexec/wsmb/twistd" in command:
                os.kill(process, number)
                return
        raise AssertionError("the broker does not run")

    def command(self, *words: str) -> list[str]:
        """`words` as a command that runs in there."""
        inside = ["nsenter", f"--target={self._init}", "--all", "--root", "--wd", "env", "-i"]
        return [*inside, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", *words]

    def run(self, *words: str, check: bool = True) -> str:
        """What `words` print. AssertionError if they fail, with both outputs."""
        done = subprocess.run(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def wsmb(self, *words: str) -> str:
        """The `wsmb` command, as its first user."""
        return self.run("timeout", "60", "wsmb", *words, *AS_FIRST_USER)

    def change_settings(self, lines: Mapping[str, str]) -> None:
        """In wsmb.ini, put one line in the place of another. AssertionError if that is not there once."""
        file = self.folder / "etc" / "wsmb" / "wsmb.ini"
        text = f"\n{file.read_text()}"
        for old, new in lines.items():
            if text.count(f"\n{old}\n") != 1:
                raise AssertionError(f"wsmb.ini has not one line: {old}")
            text = text.replace(f"\n{old}\n", f"\n{new}\n")
        file.write_text(text[1:])

    def network(self, *words: str) -> subprocess.Popen[str]:
        """A program of the machine, in the network of the scratch root."""
        command = ["nsenter", f"--target={self._init}", "--net", *words]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def credentials(self) -> str:
        """Of its first user, with a colon between."""
        return "wsmb:" + self.run("cat", "/etc/wsmb/first-password")

    def files(self) -> set[str]:
        """The paths of all files that matter."""
        found = self.run("find", "/", "-xdev", "-print").splitlines()
        return {path for path in found if not path.startswith(NOT_OURS)}

    def show(self, what: str) -> str:
        """A property of wsmb.service."""
        return self.run("systemctl", "show", "--value", f"--property={what}", "wsmb.service")

    def journal(self) -> str:
        """What wsmb.service has said."""
        return self.run("journalctl", "--unit=wsmb", "--no-pager", "--output=cat")

    def end(self) -> None:
        """All processes in there end."""
        if self._init:
            os.kill(self._init, signal.SIGKILL)
        self._boot.wait(LIMIT_S)


def _processes(root: Path) -> Iterator[tuple[int, str, bytes]]:
    """Those whose root is this one, with numbers of their own: number outside, number inside, command."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            # Not any scratch root: another one may be tried at the same time.
            if (process / "root").samefile(root):
                inside = re.findall(r"^NSpid:\t\d+\t(\d+)$", (process / "status").read_text(), re.MULTILINE)
                yield from ((int(process.name), one, (process / "cmdline").read_bytes()) for one in inside)


def poll(found: Callable[[], bool], what: str) -> None:
    """Return as soon as `found` does."""
    deadline = time.monotonic() + LIMIT_S
    while not found():
        if time.monotonic() > deadline:
            raise AssertionError(f"still waiting for {what}")
        time.sleep(0.1)


def want(is_so: object, what: str) -> None:
    """Say it if it is so, and end if it is not."""
    if not is_so:
        raise AssertionError(f"not so: {what}")
    print(f"  {what}", flush=True)
