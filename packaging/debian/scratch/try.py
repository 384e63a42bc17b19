"""Install, use, upgrade and remove the Debian package under a systemd of its own, in a scratch root.

`python3 try.py ROOT OLD.deb NEW.deb`, as root. ROOT, made by ./root, is copied and stays as it is. Each step says what
it saw; the first that is not as it has to be ends it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIMIT_S = 120.0
ITEMS = 40
# What the system itself writes, and what systemd and dpkg keep of everything that ever was.
NOT_OURS = (
    *("/dev", "/proc", "/run", "/sys", "/tmp", "/debs", "/var/log", "/var/lib/dpkg", "/var/cache", "/var/tmp"),
    *("/etc/machine-id", "/var/lib/systemd", "/var/lib/private", "/etc/group-", "/etc/gshadow-", "/etc/passwd-"),
)


class Scratch:
    """A copy of `root` with its systemd running."""

    def __init__(self, root: Path, folder: Path, packages: list[Path]) -> None:
        self.folder = folder / "root"
        subprocess.run(["cp", "-a", root, self.folder], check=True)
        (self.folder / "debs").mkdir()
        for package in packages:
            shutil.copy(package, self.folder / "debs")
        self._boot = subprocess.Popen(
            [HERE / "boot", self.folder], stdin=subprocess.DEVNULL, start_new_session=True
        )
        self._init = 0
        poll(self._find_init, "systemd to start")
        poll(lambda: self.run("systemctl", "is-system-running", check=False) in ("running", "degraded"), "the boot")

    def _find_init(self) -> bool:
        """The process whose root is the scratch root and that is number 1 of its own processes."""
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                numbers = next(line for line in status.read_text().splitlines() if line.startswith("NSpid:")).split()
                is_systemd = (status.parent / "comm").read_text() == "systemd\n"
                is_ours = (status.parent / "root" / "debs").is_dir()
            except (OSError, StopIteration):
                continue
            if len(numbers) == 3 and numbers[2] == "1" and is_systemd and is_ours:  # noqa: PLR2004
                self._init = int(numbers[1])
                return True
        return False

    def command(self, *words: str) -> list[str]:
        """`words` as a command that runs in there."""
        inside = ["nsenter", f"--target={self._init}", "--all", "--root", "--wd", "env", "-i"]
        return [*inside, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", *words]

    def run(self, *words: str, check: bool = True) -> str:
        """What `words` print. AssertionError if they fail, with both outputs."""
        done = subprocess.run(
            self.command(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def wsmb(self, *words: str) -> str:
        """The `wsmb` command, as its first user."""
        script = 'export WSMB_USER=wsmb WSMB_PASSWORD="$(cat /etc/wsmb/first-password)"; exec timeout 60 wsmb "$@"'
        return self.run("sh", "-c", script, "sh", *words)

    def network(self, *words: str) -> subprocess.Popen[str]:
        """A program of the machine, in the network of the scratch root."""
        command = ["nsenter", f"--target={self._init}", "--net", *words]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def files(self) -> set[str]:
        """The paths of all files that matter."""
        found = self.run("find", "/", "-xdev", "-print").splitlines()
        return {path for path in found if not path.startswith(NOT_OURS) and not path.endswith((".pyc", "__pycache__"))}

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


def install(scratch: Scratch, package: Path) -> None:
    """It is there, runs, and nobody else can read its secrets."""
    print(f"install {package.name}")
    said = scratch.run("dpkg", "--install", f"/debs/{package.name}")
    want("/etc/wsmb/first-password" in said, "it says where the first password is")
    want(scratch.run("cat", "/etc/wsmb/first-password") not in said, "but not the password")
    want(scratch.run("systemctl", "is-active", "wsmb.service"), "the broker is ready, says systemd")
    want(scratch.run("systemd-analyze", "verify", "wsmb.service", "wsmb.socket") == "", "systemd accepts the units")
    print("  " + scratch.run("systemd-analyze", "security", "wsmb.service").splitlines()[-1])
    modes = scratch.run("stat", "--format=%n %a %U %G", "/etc/wsmb", "/etc/wsmb/htpasswd", "/etc/wsmb/wsmb.ini")
    want("/etc/wsmb 2750 root wsmb-config\n" in modes, "/etc/wsmb is closed to others")
    want("/etc/wsmb/htpasswd 640 root wsmb-config\n" in modes, "so are the users")
    want(scratch.show("StatusErrno") == "0" and "Unable to write" not in scratch.journal(), "its log has no complaint")


def use(scratch: Scratch) -> None:
    """Send and receive; a changed user counts without a restart; a broker that hangs is started anew."""
    print("use")
    want(scratch.wsmb("ping"), "wsmb ping is answered")
    scratch.wsmb("send", "a", '"hello"')
    want(scratch.wsmb("receive", "a", "--count", "1") == '"hello"', "what was sent is received")
    scratch.run("sh", "-c", "echo second-password | wsmb passwd /etc/wsmb/htpasswd second")
    before = scratch.show("MainPID")
    scratch.run("systemctl", "reload", "wsmb.service")
    poll(lambda: "2 users read" in scratch.journal(), "the new user to be read")
    want(scratch.show("MainPID") == before, "a new user is known after a reload, by the same process")
    scratch.run("sh", "-c", "WSMB_PASSWORD=second-password timeout 60 wsmb ping --user second")
    os.kill(_outside(scratch, before), signal.SIGSTOP)
    poll(lambda: scratch.show("Result") == "watchdog" or scratch.show("NRestarts") == "1", "the watchdog")
    scratch.wsmb("ping")
    want(scratch.show("NRestarts") == "1", "one that hangs is ended by the watchdog and started again")


def _outside(scratch: Scratch, number: str) -> int:
    """The number of that process outside of the scratch root."""
    del scratch
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            numbers = next(line for line in status.read_text().splitlines() if line.startswith("NSpid:")).split()
            command = (status.parent / "cmdline").read_bytes()
        except (OSError, StopIteration):
            continue
        if numbers[-1] == number and b"/usr/libexec/wsmb/twistd" in command:
            return int(numbers[1])
    raise AssertionError(f"no process {number}")


def upgrade(scratch: Scratch, package: Path) -> None:
    """Clients come all the time, and something waits."""
    print(f"upgrade to {package.name}")
    items = [str(number) for number in range(ITEMS)]
    scratch.wsmb("send", "kept", *items)
    before = scratch.show("MainPID")
    password = scratch.run("cat", "/etc/wsmb/first-password")
    with scratch.network(sys.executable, str(HERE / "arrivals.py"), f"wsmb:{password}") as arrivals:
        time.sleep(1)
        scratch.run("dpkg", "--install", f"/debs/{package.name}")
        time.sleep(1)
        said, _ = arrivals.communicate(timeout=LIMIT_S)
    want(scratch.show("MainPID") != before, "another process serves")
    seen = json.loads(said)
    print(f"  who came meanwhile: {seen}")
    want(set(seen["clients"]) == {"101"}, "no client was refused, reset or turned away")
    received = scratch.wsmb("receive", "kept", "--count", str(ITEMS)).splitlines()
    want(received == items, f"all {ITEMS} items that waited are there, in their order")


def crash(scratch: Scratch) -> None:
    """It is started again."""
    print("kill -9")
    scratch.wsmb("send", "crash", '"before"')
    before, starts = scratch.show("MainPID"), int(scratch.show("NRestarts"))
    os.kill(_outside(scratch, before), signal.SIGKILL)
    want(scratch.wsmb("receive", "crash", "--count", "1") == '"before"', "who comes next waits, and is served")
    want(int(scratch.show("NRestarts")) == starts + 1, "it was started again")


def remove(scratch: Scratch, before: set[str]) -> None:
    """First the programs, then all."""
    print("remove and purge")
    scratch.run("dpkg", "--remove", "wsmb")
    want(scratch.run("systemctl", "is-active", "wsmb.service", "wsmb.socket", check=False) == "inactive\ninactive",
         "nothing of it runs")
    left = {path for path in scratch.files() - before if not path.startswith(("/etc/wsmb", "/etc/systemd"))}
    want(left <= {"/var/lib/wsmb"}, "its configuration and what it kept are left")
    scratch.run("dpkg", "--purge", "wsmb")
    want(scratch.files() == before, "after the purge there is what there was before the installation")
    want("wsmb" not in scratch.run("cat", "/etc/group", "/etc/passwd"), "no group is left")
    want(scratch.run("ls", "/var/lib/private") == "", "no state is left")


def main(root: Path, old: Path, new: Path) -> None:
    """See above."""
    with tempfile.TemporaryDirectory(prefix="wsmb-scratch-") as folder:
        scratch = Scratch(root, Path(folder), [old, new])
        try:
            before = scratch.files()
            install(scratch, old)
            use(scratch)
            upgrade(scratch, new)
            crash(scratch)
            remove(scratch, before)
        except AssertionError:
            print(scratch.run("journalctl", "--no-pager", "--lines=30", check=False), file=sys.stderr)
            raise
        finally:
            scratch.end()


if __name__ == "__main__":
    main(*(Path(argument).resolve() for argument in sys.argv[1:]))
