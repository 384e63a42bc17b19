"""`wsmb passwd FILE USER`: make, change and delete the users of an htpasswd file."""

from __future__ import annotations

import argparse
import codecs
import fcntl
import getpass
import io
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import NoReturn, TextIO

from wsmb import htpasswd

DEFAULT_COST = 10
"""About 60 ms of one core, so that two threads let a thousand clients in again within half a minute."""

_EPILOG = """\
example:
  wsmb passwd htpasswd shop
  wsmb passwd htpasswd shop < password.txt
  wsmb passwd htpasswd shop --delete

The password is asked for, or is the first line of standard input; it is never an argument.
exit codes: 0 done, 1 failed, 2 wrong usage"""


class _RefusedError(Exception):
    """What was asked for cannot be done. The text is one line without secrets."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(
    argv: Sequence[str],
    stdin: TextIO,
    stdout: TextIO,
    stderr: TextIO,
    ask: Callable[[str], str] = getpass.getpass,
) -> int:
    """Carry out `wsmb passwd` with the arguments after that word; 0 done, 1 failed, 2 wrong usage.

    `ask` shows its prompt and returns what is typed; it is used where `stdin` is a terminal.
    """
    try:
        with redirect_stdout(stdout), redirect_stderr(stderr):
            arguments = _read(parser(), argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        line = None if arguments.delete else _new_line(arguments.user, arguments.cost, stdin, ask)
        done = _change(os.path.realpath(arguments.file), arguments.user, line)
    except _RefusedError as refusal:
        done, status = str(refusal), 1
    except OSError as error:
        done, status = f"{arguments.file}: {error.strerror or error}", 1
    else:
        status = 0
    print(f"wsmb passwd: {done}", file=stderr)
    return status


def parser() -> argparse.ArgumentParser:
    """Its arguments."""
    parser = _Parser(
        prog="wsmb passwd",
        description="Make, change and delete the users of an htpasswd file, with bcrypt hashes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="made, readable for its owner only, if it is not there")
    parser.add_argument("user", metavar="USER")
    parser.add_argument("--delete", action="store_true", help="delete the user")
    parser.add_argument("--cost", type=_cost, default=DEFAULT_COST, help="of bcrypt, 4 to 15 (default 10)")
    return parser


def _read(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    arguments, further = parser.parse_known_args(argv)
    if further:
        # They are not shown: whoever gives one more argument has most likely typed a password.
        parser.error("too many arguments (the password is asked for, or is a line of standard input)")
    if not htpasswd.is_user_name(arguments.user):
        parser.error(
            f"a user name has 1 to {htpasswd.MAX_USER_BYTES} bytes, no colon and no control characters, "
            "and begins with neither # nor a space"
        )
    return arguments


def _cost(text: str) -> int:
    costs = htpasswd.BCRYPT_COSTS
    if not (text.isdecimal() and len(text) <= 2 and int(text) in costs):
        raise argparse.ArgumentTypeError(f"a number from {costs[0]} to {costs[-1]} is needed")
    return int(text)


def _new_line(user: str, cost: int, stdin: TextIO, ask: Callable[[str], str]) -> bytes:
    password = _password(stdin, ask)
    if not password:
        raise _RefusedError("an empty password is not accepted")
    if len(password) > htpasswd.MAX_BCRYPT_PASSWORD_BYTES:
        most = htpasswd.MAX_BCRYPT_PASSWORD_BYTES
        raise _RefusedError(f"the password has {len(password)} bytes, and bcrypt takes {most} at most")
    if b"\0" in password:
        raise _RefusedError("a password with a NUL character is not accepted")
    return f"{user}:{htpasswd.bcrypt_hash(password, cost)}".encode()


def _password(stdin: TextIO, ask: Callable[[str], str]) -> bytes:
    try:
        if stdin.isatty():
            password = ask("New password: ")
            if ask("The same again: ") != password:
                raise _RefusedError("the two passwords differ")
        else:
            password = stdin.readline().removesuffix("\n").removesuffix("\r")
        return password.encode("utf-8", "surrogateescape")
    except (EOFError, KeyboardInterrupt):
        raise _RefusedError("no password was given") from None
    except UnicodeError:
        raise _RefusedError("the password is not UTF-8 text") from None


def _change(path: str, user: str, line: bytes | None) -> str:
    """Make `line` the one line of `user` in the file, or delete the user; what was done."""
    with _locked_folder(os.path.dirname(path)) as folder_fd:
        old_stat = _stat(path)
        old = b"" if old_stat is None else Path(path).read_bytes()
        text, lines_before = _edited(old, user, line)
        if line is None and not lines_before:
            raise _RefusedError(f"{path} has no user {user}")
        _replace(path, text, old_stat)
        os.fsync(folder_fd)
    return _summary(path, user, text, line, lines_before)


def _stat(path: str) -> os.stat_result | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise _RefusedError(f"{path} is not a regular file")
    return found


def _summary(path: str, user: str, text: bytes, line: bytes | None, lines_before: int) -> str:
    if line is not None:
        return f"{user} {'changed in' if lines_before else 'added to'} {path}"
    if htpasswd.parse(text).has_users:
        return f"{user} deleted from {path}"
    return f"{user} deleted from {path}, which has no user now: a running broker goes on with those it knows"


def _edited(text: bytes, user: str, line: bytes | None) -> tuple[bytes, int]:
    """`text` with `line` in the place of the user's first line and no other; how many lines the user had."""
    bom = codecs.BOM_UTF8 if text.startswith(codecs.BOM_UTF8) else b""
    lines = io.BytesIO(text.removeprefix(bom)).readlines()
    places = [place for place, one in enumerate(lines) if htpasswd.user_of(one) == user]
    if line is not None and places:
        lines[places[0]] = line + _line_break(lines[places[0]])
    elif line is not None:
        line_break = _line_break(lines[0]) if lines else b"\n"
        if lines and not lines[-1].endswith(b"\n"):
            lines[-1] += line_break
        lines.append(line + line_break)
    dropped = set(places if line is None else places[1:])
    return bom + b"".join(one for place, one in enumerate(lines) if place not in dropped), len(places)


def _line_break(line: bytes) -> bytes:
    return b"\r\n" if line.endswith(b"\r\n") else b"\n"


@contextmanager
def _locked_folder(folder: str) -> Iterator[int]:
    """Keep two of these commands from overwriting each other's change."""
    folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder_fd, fcntl.LOCK_EX)
        yield folder_fd
    finally:
        os.close(folder_fd)


def _replace(path: str, text: bytes, old_stat: os.stat_result | None) -> None:
    """Put `text` in the place of the file at once: whoever reads it sees the old or the new one, whole."""
    new_fd, new_path = tempfile.mkstemp(prefix=".wsmb-passwd-", dir=os.path.dirname(path))
    try:
        with open(new_fd, "wb") as file:
            if old_stat is not None:
                os.fchown(new_fd, old_stat.st_uid, old_stat.st_gid)
                os.fchmod(new_fd, stat.S_IMODE(old_stat.st_mode))
            file.write(text)
            file.flush()
            os.fsync(new_fd)
        os.replace(new_path, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(new_path)
        raise
