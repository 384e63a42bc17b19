"""nginx, Apache and Caddy with the files of examples/proxy, each in a scratch folder and on a free port."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tests.integration.broker_process import CHECKOUT, LIMIT_S, TIED, free_port, listens, poll
from tests.support import skipped

EXAMPLES = CHECKOUT / "examples" / "proxy"
HOST = "broker.example"
IDLE_S = 1
"""The longest silence that a proxy would allow here if the example did not say more."""
_ADDRESS, _SOCKET = "127.0.0.1:8888", "/run/wsmb/socket"
_CERTIFICATE, _KEY = "/etc/ssl/wsmb/fullchain.pem", "/etc/ssl/wsmb/privkey.pem"
# Debian keeps what administrators run out of the path of others.
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"


def replaced(text: str, pieces: Mapping[str, str]) -> str:
    """`text` with something else in the place of some of its pieces. All of them must be there."""
    for old, new in pieces.items():
        if old not in text:
            raise AssertionError(f"there is no {old!r} in {text}")
        text = text.replace(old, new)
    return text


def over_unix(text: str) -> str:
    """An example with the lines for a Unix socket, which are comments, in the place of those for TCP."""
    lines = [line for line in text.splitlines(keepends=True) if _ADDRESS not in line]
    return "".join(line.replace("#", "", 1) if _SOCKET in line else line for line in lines)


class ProxyProcess:
    """One proxy before a broker, with an example in a surrounding configuration of the tests' own."""

    name: ClassVar[str]
    example: ClassVar[str]
    _modules: ClassVar[tuple[Path, ...]] = ()

    def __init__(self, folder: Path, certificate: tuple[Path, Path], broker: int | str) -> None:
        """`certificate`: the files of a key and of one for HOST; `broker`: a port, or a Unix socket's path.

        SkipTest where the program is not installed.
        """
        found = shutil.which(self.name, path=_PATH)
        if found is None or not all(module.exists() for module in self._modules):
            raise skipped(f"{self.name}, or a module of it, is not installed")
        self.folder = folder
        self.port = free_port()
        self._program = found
        self._process: subprocess.Popen[bytes] | None = None
        key, chain = map(str, certificate)
        text = (EXAMPLES / self.example).read_text()
        if isinstance(broker, str):
            text = over_unix(text)
        address = {_SOCKET: broker} if isinstance(broker, str) else {_ADDRESS: f"127.0.0.1:{broker}"}
        self._write(replaced(text, {_CERTIFICATE: chain, _KEY: key, **address}))

    def start(self) -> None:
        """Returns once it listens."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [*TIED, self._program, *self._arguments()],
                cwd=self.folder,
                env={**os.environ, "HOME": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._process = process

        def is_up() -> bool:
            if process.poll() is not None:
                raise AssertionError(f"{self.name} did not start:\n{self.log()}")
            return listens(self.port)

        poll(is_up, f"{self.name} to listen")

    def stop(self) -> None:
        """Blocks until it has ended. It has nothing to lose."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(LIMIT_S)

    def log(self) -> str:
        """What it has printed."""
        return (self.folder / "log").read_text(errors="replace")

    def _write(self, text: str) -> None:
        """Write its files; `text` is the example, but for its port."""
        raise NotImplementedError

    def _arguments(self) -> list[str]:
        raise NotImplementedError


class Nginx(ProxyProcess):
    """The site for nginx."""

    name = "nginx"
    example = "nginx.conf"
    _around = """\
http {{
    access_log access.log;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    proxy_read_timeout {idle_s}s; proxy_send_timeout {idle_s}s; send_timeout {idle_s}s;
    include example.conf;
}}
"""

    def _write(self, text: str) -> None:
        here = {"listen 443 ": f"listen 127.0.0.1:{self.port} ", "listen [::]:443 ssl;": ""}
        (self.folder / "example.conf").write_text(replaced(text, here))
        lines = [f"load_module {module};" for module in self._modules]
        lines += ["daemon off; master_process off; pid nginx.pid;", "events { worker_connections 512; }"]
        around = self._around.format(idle_s=IDLE_S)
        (self.folder / "nginx.conf").write_text("\n".join([*lines, around]))

    def _arguments(self) -> list[str]:
        return ["-p", str(self.folder), "-c", "nginx.conf", "-e", "stderr"]


class NginxStream(Nginx):
    """The TCP proxy of nginx, with PROXY headers."""

    example = "nginx-stream.conf"
    _around = "include example.conf;\n"
    _modules = (Path("/usr/lib/nginx/modules/ngx_stream_module.so"),)


class Apache(ProxyProcess):
    """The virtual host for Apache."""

    name = "apache2"
    example = "apache.conf"
    _modules = tuple(
        Path(f"/usr/lib/apache2/modules/mod_{name}.so")
        for name in ("mpm_event", "authz_core", "reqtimeout", "ssl", "proxy", "proxy_http", "headers")
    )

    def _write(self, text: str) -> None:
        text = replaced(text, {"<VirtualHost *:443>": f"<VirtualHost *:{self.port}>"})
        lines = [f"LoadModule {module.stem.removeprefix('mod_')}_module {module}" for module in self._modules]
        lines += [
            f'ServerRoot "{self.folder}"',
            f'DefaultRuntimeDir "{self.folder}"',
            "PidFile apache.pid",
            "ErrorLog /dev/stderr",
            f"ServerName {HOST}",
            f"Listen 127.0.0.1:{self.port}",
            f"Timeout {IDLE_S}",
            *(["User www-data", "Group www-data"] if os.getuid() == 0 else []),
        ]
        (self.folder / "apache.conf").write_text("\n".join([*lines, text]))

    def _arguments(self) -> list[str]:
        return ["-X", "-f", str(self.folder / "apache.conf")]


class Caddy(ProxyProcess):
    """The site for Caddy."""

    name = "caddy"
    example = "Caddyfile"

    def _write(self, text: str) -> None:
        here = {
            f"\n{HOST} {{\n": f"\n{HOST}:{self.port} {{\n\tbind 127.0.0.1\n",
            "\n{\n": "\n{\n\tadmin off\n",
        }
        (self.folder / "Caddyfile").write_text(replaced(text, here))

    def _arguments(self) -> list[str]:
        return ["run", "--config", "Caddyfile", "--adapter", "caddyfile"]
