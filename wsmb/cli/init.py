"""`wsmb init`: a configuration that works, and a user with a random password."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from wsmb import htpasswd
from wsmb.cli import arguments as common
from wsmb.cli.arguments import DONE, FAILED
from wsmb.cli.passwd import DEFAULT_COST

DESCRIPTION = """\
Write wsmb.ini and htpasswd, a configuration that works and its first user, whose random password is shown
this once, and say what to type next. Files that are there are left as they are, and nothing is written.
Standard output gets one line, for the shell:  export WSMB_URL=... WSMB_USER=... WSMB_PASSWORD=..."""

EXAMPLE = """\
  wsmb init
  wsmb init --directory /srv/wsmb --user shop --port 8889"""

PASSWORD_BYTES = 18

CONFIGURATION = """\
; A broker for this machine: twistd -n wsmb --config wsmb.ini
; It sees changes of this file and of the users' by itself. wsmb.ini.example has all that can be set.

[server]
; Only programs on this machine can connect. For all: ssl:8443:privateKey=key.pem:certKey=fullchain.pem
; (or tcp:{port}, which shows passwords to everyone on the way).
listen = tcp:{port}:interface=127.0.0.1
; Messages that find no receiver are kept. always: all are, until delivered. false: none.
keep_data = true

[database]
url = sqlite:///wsmb.sqlite3

[credential]
; One more user: wsmb passwd htpasswd NAME
htpasswd = htpasswd
"""


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Carry out `wsmb init` with the arguments after that word. Raises UsageError."""
    arguments = parser().read(argv)
    user, port, folder = arguments.user, arguments.port, arguments.directory
    if not htpasswd.is_user_name(user):
        raise common.UsageError("--user: no colon, no control character, no # at the beginning")
    if not 1 <= port <= 65_535:
        raise common.UsageError("--port: a number from 1 to 65535 is needed")
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    line = f"{user}:{htpasswd.bcrypt_hash(password.encode(), DEFAULT_COST)}\n"
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        _write_both(folder, CONFIGURATION.format(port=port), line)
    except OSError as error:
        remedy = "; name another --directory" if isinstance(error, FileExistsError) else ""
        print(f"wsmb init: {error.filename}: {error.strerror}{remedy}; nothing was written", file=sys.stderr)
        return FAILED
    _tell(folder, f"WSMB_URL=ws://127.0.0.1:{port}/ WSMB_USER={shlex.quote(user)} WSMB_PASSWORD={password}")
    return DONE


def parser() -> common.Parser:
    """Its arguments."""
    parser = common.Parser("wsmb init", "", DESCRIPTION, EXAMPLE, environment="")
    parser.add_argument("--directory", metavar="DIR", default=".", help="where to; made if it is not there")
    parser.add_argument("--user", metavar="NAME", default="admin", help="the first user (default admin)")
    parser.add_argument("--port", type=common.count, metavar="N", default=8888, help="default 8888")
    return parser


def _write_both(folder: str, configuration: str, users: str) -> None:
    """Both files, or neither."""
    config, passwords = os.path.join(folder, "wsmb.ini"), os.path.join(folder, "htpasswd")
    _write(config, configuration, 0o644)
    try:
        _write(passwords, users, 0o600)
    except OSError:
        with suppress(OSError):
            os.unlink(config)
        raise


def _write(path: str, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "w", encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        except OSError as error:
            with suppress(OSError):
                os.unlink(path)
            raise OSError(error.errno, error.strerror, path) from None


def _tell(folder: str, variables: str) -> None:
    config = shlex.quote(os.path.join(folder, "wsmb.ini") if folder != "." else "wsmb.ini")
    print(
        f"""\
wsmb init: wsmb.ini and htpasswd are in {os.path.abspath(folder)}. Next, the broker:

  {_program("twistd")} -n wsmb --config {config}

and in another terminal, first the line on standard output (its password is not shown again):
""",
        file=sys.stderr,
        flush=True,
    )
    print(f"export {variables}", flush=True)
    wsmb = _program("wsmb")
    print(
        f"""
then, for example:

  {wsmb} ping
  {wsmb} send sms '{{"receiver":"0812","message":"hello"}}'
  {wsmb} receive sms --count 1""",
        file=sys.stderr,
    )


def _program(name: str) -> str:
    """What to type for a program that has been installed together with this one."""
    if shutil.which(name):
        return name
    return shlex.quote(os.path.join(os.path.dirname(sys.executable), name))
