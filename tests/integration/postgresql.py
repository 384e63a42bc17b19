"""A PostgreSQL of the tests' own: in a scratch directory, on a Unix socket and a free port of 127.0.0.1."""

from __future__ import annotations

import atexit
import functools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.integration.broker_process import free_port
from tests.support import skipped
from wsmb.settings import DatabaseSettings

try:
    import psycopg
    from psycopg import sql
except ImportError:
    psycopg = None  # type: ignore[assignment]

_START_S = 60
_USER, _PASSWORD = "wsmb", "sécret-π"
# Debian keeps the server's programs out of the path, by version.
_FOLDERS = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), key=len)
_PATH = os.pathsep.join([*reversed(_FOLDERS), os.environ.get("PATH", "")])


def _program(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise skipped(f"{name} is not installed")
    return found


class PostgreSQL:
    """One server process. In another time zone and careless of commits, as an administrator may leave it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="wsmb-pg-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen: list[int] = []
        self._names = 0
        # It refuses to run as root.
        self._user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        if self._user:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)

    def install(self) -> None:
        password = self.folder / "password"
        password.write_text(_PASSWORD)
        if self._user:
            os.chown(password, self._user.pw_uid, self._user.pw_gid)
        command = [_program("initdb"), f"--pgdata={self.folder / 'data'}", "--username=admin", "--no-sync"]
        command += ["--auth-local=scram-sha-256", "--auth-host=scram-sha-256", f"--pwfile={password}"]
        command += ["--encoding=UTF8", "--locale=C.UTF-8"]
        subprocess.run(command, check=True, timeout=_START_S, stdout=subprocess.DEVNULL, **self._as_user())

    def start(self) -> None:
        """Blocks until it answers."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start the process. Not from a pool's thread: the server would end with that thread."""
        with (self.folder / "log").open("ab") as log:
            # If the tests are killed, the server goes with them.
            tied = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
            command = [*tied, _program("postgres"), *self._options()]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._as_user())

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
        raise RuntimeError("PostgreSQL did not start:\n" + (self.folder / "log").read_text()[-4000:])

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Blocks until the process is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        self.thaw()
        try:
            process.wait(_START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def crash(self) -> None:
        """All at once, as a power cut ends it."""
        self.stop(signal.SIGQUIT)

    def freeze(self) -> None:
        """It keeps its connections and answers nothing, until `thaw`. Each connection has a process."""
        assert self._process is not None
        pid = self._process.pid
        os.kill(pid, signal.SIGSTOP)  # the first, so that it starts no more
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self._frozen = [*map(int, children), pid]
        for child in self._frozen:
            os.kill(child, signal.SIGSTOP)

    def thaw(self) -> None:
        while self._frozen:
            os.kill(self._frozen.pop(0), signal.SIGCONT)

    def query(self, statement: str, *values: object, database: str = "postgres") -> Any:
        """Run one statement as the administrator; its rows."""
        with self.connect(database) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else None

    def connect(self, database: str = "postgres", autocommit: bool = True) -> Any:
        """A session of the administrator."""
        return psycopg.connect(
            host=str(self.folder),
            port=self.port,
            user="admin",
            password=_PASSWORD,
            dbname=database,
            autocommit=autocommit,
            connect_timeout=_START_S,
        )

    def new_database(self, over_tcp: bool = False, options: str = "") -> DatabaseSettings:
        """An empty database, with settings for it."""
        self._names += 1
        name = f"test{self._names}"
        self.query(f"CREATE DATABASE {name} OWNER {_USER} {options}")
        return DatabaseSettings(
            driver="pgsql",
            host="127.0.0.1" if over_tcp else str(self.folder),
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
            if not self.query("SELECT 1 FROM pg_roles WHERE rolname = %s", _USER):
                role = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
                self.query(role.format(sql.Identifier(_USER), sql.Literal(_PASSWORD)))
        except psycopg.Error:
            return False
        return True

    def _options(self) -> list[str]:
        settings = {
            "unix_socket_directories": self.folder,
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "shared_buffers": "16MB",
            "max_connections": 20,
            "fsync": "off",  # only the machine's end would lose anything
            "autovacuum": "off",
            "timezone": "Asia/Karachi",
            "synchronous_commit": "off",
            "idle_session_timeout": "20min",
        }
        return ["-D", str(self.folder / "data"), *(f"--{name}={value}" for name, value in settings.items())]

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        account = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        return {**account, "cwd": self.folder}


@functools.cache
def _running() -> PostgreSQL:
    server = PostgreSQL()
    atexit.register(server.remove)
    server.install()
    server.start()
    return server


def postgresql() -> PostgreSQL:
    """This process's server, started on the first call. SkipTest where it or psycopg is not installed."""
    if psycopg is None:
        raise skipped("psycopg is not installed")
    _program("initdb")
    _program("postgres")
    return _running()
