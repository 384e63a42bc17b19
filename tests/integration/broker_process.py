"""The real broker as a process of the tests' own: `twistd wsmb` in a scratch folder, on a free port."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from wsmb import htpasswd

CHECKOUT = Path(__file__).resolve().parents[2]
USER, PASSWORD = "qa", "4lt0@1234"
LIMIT_S = 30.0
"""The longest that a start or a stop may take on a busy machine."""

_TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")
# What goes before a command so that, if the tests are killed, it goes with them.
TIED = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()
# All with the same PASSWORD; bcrypt at its least cost.
_USERS = f"""\
{USER}:{htpasswd.bcrypt_hash(PASSWORD.encode(), 4)}
apr1:$apr1$wsmbTest$aL5Do8J5f1vdtQ/eu5vWp.
sha:{{SHA}}mi768OhiFE75ctDBzUasjWiuqGc=
"""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def poll(found: Callable[[], bool], what: str) -> None:
    """Return as soon as `found` does; TimeoutError if it has not after LIMIT_S."""
    deadline = time.monotonic() + LIMIT_S
    while not found():
        if time.monotonic() > deadline:
            raise TimeoutError(f"still waiting for {what}")
        time.sleep(0.01)


def listens(port: int) -> bool:
    """Whether somebody listens on this port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S).close()
    except ConnectionRefusedError:
        return False
    return True


def answers(port: int) -> bool:
    """Whether a broker serves there. It listens for a moment before it heeds SIGTERM, too."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except ConnectionError:
        return False


def write_users(folder: Path, name: str = "users") -> Path:
    """A password file with the users `qa` (bcrypt), `apr1` and `sha`."""
    file = folder / name
    file.write_text(_USERS)
    return file


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings of wsmb, with the checkout on Python's path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WSMB_")}
    return {**kept, "PYTHONPATH": str(CHECKOUT), **(extra or {})}


def run_twistd(
    folder: Path, *arguments: str, extra_environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run twistd in `folder` until it ends by itself. One that does not is killed: TimeoutExpired."""
    return subprocess.run(
        [*TIED, *_TWISTD, *arguments],
        cwd=folder,
        env=environment(extra_environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


class BrokerProcess:
    """One broker, to be started and stopped any number of times in the same folder on the same port.

    `ini` is the text of its configuration file; `database` (a URL), `keep_data` and endpoints to `listen`
    on besides the port go onto its command line. Each method blocks, for LIMIT_S at most.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ini: str = "",
        database: str | None = None,
        keep_data: str | None = None,
        listen: Iterable[str] = (),
        extra_environment: Mapping[str, str] | None = None,
        under: Iterable[str] = (),
        pass_fds: Iterable[int] = (),
    ) -> None:
        """`under`: a command that starts it, such as `prlimit`; `pass_fds`: open files that it gets."""
        self.folder = folder
        self.port = free_port()
        self._environment = environment(extra_environment)
        self._under = tuple(under)
        self._pass_fds = tuple(pass_fds)
        self._process: subprocess.Popen[bytes] | None = None
        users = write_users(folder)
        config = folder / "wsmb.ini"
        config.write_text(ini)
        self._arguments = ["-n", "--pidfile=", "wsmb", f"--config={config}", f"--htpasswd={users}"]
        self._arguments += [f"--listen=tcp:{self.port}:interface=127.0.0.1"]
        self._arguments += [f"--listen={endpoint}" for endpoint in listen]
        if database is not None:
            self._arguments += [f"--database={database}"]
        if keep_data is not None:
            self._arguments += [f"--keep-data={keep_data}"]

    def start(self) -> None:
        """Returns once it serves."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [*TIED, *self._under, *_TWISTD, *self._arguments],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=self._pass_fds,
            )
        self._process = process

        def is_up() -> bool:
            if process.poll() is not None:
                raise AssertionError(f"the broker did not start:\n{self.log()}")
            return answers(self.port)

        poll(is_up, "the broker to serve")

    def kill9(self) -> None:
        """As a crash would end it; if it has ended already, nothing."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(LIMIT_S)

    def stop(self) -> None:
        """End it as an administrator does; AssertionError if that, or anything before, went wrong."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            status = process.wait(LIMIT_S)
        finally:
            self.kill9()
        log = self.log()
        if status or "wsmb has stopped" not in log:
            raise AssertionError(f"the broker ended with status {status}:\n{log}")
        if re.search(r"Traceback|#error|#critical|Unhandled", log):
            raise AssertionError(f"the broker met an error:\n{log}")

    def begin_stop(self) -> None:
        """As `stop`, which is still to be called, but for the waiting."""
        if self._process is not None:
            self._process.terminate()

    def hang_up(self) -> None:
        """Send it SIGHUP."""
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def log(self) -> str:
        """All that it has printed since its first start."""
        return (self.folder / "log").read_text(errors="replace")

    def _proc(self) -> Path:
        if self._process is None:
            raise ValueError("it does not run")
        return Path(f"/proc/{self._process.pid}")

    @property
    def process_id(self) -> int:
        """While it runs."""
        return int(self._proc().name)

    def open_files(self) -> list[str]:
        """The numbers of its file descriptors."""
        return os.listdir(self._proc() / "fd")

    def limit_open_files(self, number: int) -> None:
        """Let it have no file descriptors from `number` on."""
        process_id = self.process_id
        _, hard = resource.prlimit(process_id, resource.RLIMIT_NOFILE)
        resource.prlimit(process_id, resource.RLIMIT_NOFILE, (number, hard))

    def cpu_ticks(self) -> int:
        """The processor time that it has used, in hundredths of a second."""
        fields = (self._proc() / "stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def rss_kb(self) -> int:
        """How much memory it has now."""
        status = (self._proc() / "status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def sockets(self) -> int:
        """How many sockets it has open: connections, those that it listens on, and its own."""
        if self._process is None:
            raise ValueError("it does not run")
        return sum(_is_socket(file) for file in Path(f"/proc/{self._process.pid}/fd").iterdir())


def _is_socket(descriptor: Path) -> bool:
    try:
        return str(descriptor.readlink()).startswith("socket:")
    except FileNotFoundError:  # closed meanwhile
        return False
