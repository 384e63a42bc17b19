"""What the commands that talk to a broker have in common on their command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import NoReturn

from wsmb.client.commands import check_channel
from wsmb.client.target import Target, TargetError, default_channel, find_target

DONE, FAILED, USAGE = 0, 1, 2

EXIT_CODES = "exit codes: 0 done, 1 failed (refused, not reachable, not certain), 2 wrong usage"

ENVIRONMENT = """\
environment:
  WSMB_URL         ws://host:port/path or wss://...; may hold user:password@
  WSMB_USER        the user's name
  WSMB_PASSWORD    the password; it is never an argument, where every user of the machine could read it
  MQ_SERVER_HOST, MQ_SERVER_PORT, MQ_CLIENT_USERNAME, MQ_CLIENT_PASSWORD and MQ_CHANNEL_NAME count
  where ours are absent. The certificates that wss:// is checked against are the system's, or those
  in the file SSL_CERT_FILE."""


class UsageError(Exception):
    """Wrong usage. The text is one line: what is wrong and what to do about it."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and shows nothing that might be a password."""

    def __init__(
        self,
        prog: str,
        words: str,
        description: str,
        example: str,
        *,
        environment: str = ENVIRONMENT,
        exit_codes: str = EXIT_CODES,
    ) -> None:
        parts = (f"example:\n{example}", environment, exit_codes)
        super().__init__(
            prog=prog,
            usage=f"{prog} {words}[options]",
            description=description,
            epilog="\n\n".join(part for part in parts if part),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,  # `--password` must not be taken for `--password-file`
        )

    def error(self, message: str) -> NoReturn:
        """Raise it: the command says it, and that its help says more."""
        raise UsageError(f"{message}; see {self.prog} --help")

    def read(self, argv: Sequence[str]) -> argparse.Namespace:
        """The arguments in `argv`; options may stand between the words, up to a `--`."""
        end = argv.index("--") if "--" in argv else len(argv)
        arguments, further = self.parse_known_intermixed_args(argv[:end])
        if further:
            # Not shown: it may be a password.
            self.error("unknown option (a password is never an argument)")
        if argv[end + 1 :]:
            if "words" not in arguments:
                self.error("too many arguments")
            arguments.words = [*arguments.words, *argv[end + 1 :]]
        return arguments

    def add_target(self) -> None:
        """The options that say where the broker is, and as whom to go there."""
        self.add_argument("--url", metavar="URL", help="without a password (default ws://127.0.0.1:8888/)")
        self.add_argument("--user", metavar="NAME")
        self.add_argument("--password-file", metavar="FILE", help="its first line is the password")


def target(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Target:
    """The broker that the arguments and the environment name. Raises UsageError."""
    path = arguments.password_file
    try:
        password = None if path is None else _first_line(path)
        return find_target(environ, arguments.url, arguments.user, password)
    except TargetError as error:
        raise UsageError(str(error)) from None


def _first_line(path: str) -> str:
    try:
        with open(path, "rb") as file:
            line = file.readline(4096)
    except OSError as error:
        raise UsageError(f"--password-file {path}: {error.strerror or error}") from None
    password = os.fsdecode(line.removesuffix(b"\n").removesuffix(b"\r"))
    if not password:
        raise UsageError(f"--password-file {path}: its first line is empty")
    return password


def channels(words: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """The channels in `words`, or the one of the environment if there are none. Raises UsageError."""
    named = list(dict.fromkeys(words)) or [name for name in (default_channel(environ),) if name]
    if not named:
        raise UsageError("no channel: name one, or set MQ_CHANNEL_NAME")
    try:
        return [check_channel(name) for name in named]
    except ValueError as error:
        raise UsageError(str(error)) from None


def seconds(text: str) -> float:
    """A number of seconds above zero, for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError("a number of seconds is needed")
    return number


def count(text: str) -> int:
    """A whole number from zero, for argparse."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise argparse.ArgumentTypeError("a whole number is needed")
    return int(text)


def number(text: str) -> int:
    """A whole number from one, for argparse."""
    value = count(text)
    if not 1 <= value <= 10**12:
        raise argparse.ArgumentTypeError("a whole number from 1 is needed")
    return value
