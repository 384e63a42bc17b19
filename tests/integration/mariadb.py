"""A MariaDB of the tests' own: in a scratch directory, on a Unix socket and a free port of 127.0.0.1."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pymysql

from tests.support import need
from wsmb.settings import DatabaseSettings

_START_S = 60
_USER, _PASSWORD = "wsmb", "sécret-π"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MariaDB:
    """One server process. Not strict and not in UTC, as a careless administrator leaves it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="wsmb-mariadb-"))
        self.socket = str(self.folder / "socket")
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._names = 0

    def install(self) -> None:
        subprocess.run(
            [
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={self.folder / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                *self._as_root(),
            ],
            env=self._environment(),
            check=True,
            timeout=_START_S,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def start(self) -> None:
        """Blocks until it answers."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start the process. Not from a pool's thread: the server would end with that thread."""
        with (self.folder / "log").open("ab") as log:
            # If the tests are killed, the server goes with them.
            command = [*self._tied(), "mariadbd", *self._options()]
            self._process = subprocess.Popen(command, env=self._environment(), stdout=log, stderr=log)

    def wait(self) -> None:
        """Blocks until it answers."""
        assert self._process is not None
        for _ in range(_START_S * 20):
            try:
                self._process.wait(0.05)
            except subprocess.TimeoutExpired:
                if self._answers():
                    return
            else:
                break
        self.stop()
        raise RuntimeError("MariaDB did not start:\n" + (self.folder / "log").read_text()[-4000:])

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Blocks until the process is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(_START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def crash(self) -> None:
        """All at once, as a power cut ends it."""
        self.stop(signal.SIGKILL)

    def freeze(self) -> None:
        """It keeps its connections and answers nothing, until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def query(self, statement: str, *values: object, database: str | None = None) -> Any:
        """Run one statement as the administrator; its rows."""
        with pymysql.connect(
            unix_socket=self.socket, user="root", database=database, charset="utf8mb4", autocommit=True
        ) as connection:
            cursor = connection.cursor()
            cursor.execute(statement, values or None)
            return cursor.fetchall()

    def new_database(self, over_tcp: bool = False) -> DatabaseSettings:
        """An empty database, with settings for it."""
        self._names += 1
        name = f"test{self._names}"
        self.query(f"CREATE DATABASE {name}")
        return DatabaseSettings(
            driver="mysql",
            host="127.0.0.1" if over_tcp else self.socket,
            port=self.port,
            name=name,
            username=_USER,
            password=_PASSWORD,
        )

    def remove(self) -> None:
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            self.query(f"CREATE USER IF NOT EXISTS {_USER}@'%%' IDENTIFIED BY %s", _PASSWORD)
            self.query(f"GRANT ALL ON *.* TO {_USER}@'%'")
        except pymysql.MySQLError:
            return False
        return True

    def _options(self) -> list[str]:
        return [
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--socket={self.socket}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=16M",
            "--sql-mode=",
            "--default-time-zone=+05:00",
            "--character-set-server=latin1",
            *self._as_root(),
        ]

    def _environment(self) -> dict[str, str]:
        """With a folder for temporary tables of its own: at its start, a server removes all that it finds."""
        temporary = self.folder / "temporary"
        temporary.mkdir(exist_ok=True)
        return {**os.environ, "TMPDIR": str(temporary)}

    def _as_root(self) -> list[str]:
        return ["--user=root"] if os.getuid() == 0 else []

    def _tied(self) -> list[str]:
        return ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []


@functools.cache
def _running() -> MariaDB:
    server = MariaDB()
    atexit.register(server.remove)
    server.install()
    server.start()
    return server


def mariadb() -> MariaDB:
    """This process's server, started on the first call. SkipTest where MariaDB is not installed."""
    need("mariadbd", "mariadb-install-db")
    return _running()
