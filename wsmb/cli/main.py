"""The `wsmb` command: finds the file of a subcommand, and tells of wrong usage.

Each file is imported only when it is wanted, and Twisted only by those that talk to a broker.
"""

from __future__ import annotations

import errno
import os
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from wsmb import __version__

FAILED, USAGE = 1, 2
_FULL = (errno.ENOSPC, errno.EDQUOT)

COMMANDS = {
    "init": "write a configuration that works, and say what to do next",
    "send": "send items to a channel",
    "receive": "print what comes on channels, or run a command for each item",
    "ping": "ask the broker whether it is well",
    "dead-letters": "look at what could not be delivered, send it again, or drop it",
    "trace": "print what becomes of one message",
    "passwd": "make, change and delete the users of an htpasswd file",
    "check-config": "say whether a broker can take a configuration",
    "access": "say which line of the access list lets a user do something, or does not",
    "bench": "put a load on a broker and measure it",
    "import": "look at a configuration and a database of the original broker, and take them over",
    "completion": "print what makes a shell complete all this",
}
_MODULES = {"import": "import_original"}

_EPILOG = """\
examples:
  export WSMB_URL=ws://127.0.0.1:8888/ WSMB_USER=alice
  read -rs WSMB_PASSWORD && export WSMB_PASSWORD
  wsmb init
  wsmb receive sms
  wsmb receive sms --exec 'gammu sendsms TEXT "$WSMB_ITEM_RECEIVER" -text "$WSMB_ITEM_MESSAGE"'
  wsmb send sms '{"receiver":"0812","message":"hello"}'
  wsmb dead-letters list sms
  wsmb trace sms order-17
  wsmb ping
  wsmb bench --receivers 100
  wsmb passwd users.htpasswd alice
  wsmb check-config --config wsmb.ini
  wsmb access explain alice send sms --config wsmb.ini
  wsmb import config.ini
  wsmb completion bash

wsmb COMMAND --help says more. Standard output holds nothing but data, all else is on standard error.
exit codes: 0 done, 1 failed (refused, not reachable, not certain), 2 wrong usage"""


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out the `wsmb` command with these arguments, or the process's own; its exit status."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in COMMANDS:
        return _subcommand(argv[0])(argv[1:])
    return _own_options(argv)


def module_of(name: str) -> Any:
    """The module of the command `name`."""
    return import_module(f"wsmb.cli.{_MODULES.get(name, name.replace('-', '_'))}")


def _subcommand(name: str) -> Callable[[Sequence[str]], int]:
    if name == "passwd":
        return _passwd

    def carry_out(argv: Sequence[str]) -> int:
        from wsmb.cli.arguments import UsageError  # noqa: PLC0415 (`wsmb passwd` starts fast)

        try:
            status = int(module_of(name).main(argv, os.environ))
            if sys.stdout is not None:
                sys.stdout.flush()
            return status
        except BrokenPipeError:  # as with `wsmb import config.ini | head -1`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except OSError as error:
            if sys.stdout is None or error.errno not in _FULL:
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            print(f"wsmb {name}: standard output: {error.strerror}", file=sys.stderr)
            return FAILED
        except UsageError as error:
            print(f"wsmb {name}: {error}", file=sys.stderr)
            return USAGE
        except SystemExit as stop:  # --help
            return int(stop.code or 0)

    return carry_out


def _passwd(argv: Sequence[str]) -> int:
    from wsmb.cli import passwd  # noqa: PLC0415

    return passwd.main(argv, sys.stdin, sys.stdout, sys.stderr)


def _own_options(argv: Sequence[str]) -> int:
    commands = "\n".join(f"  {name:13} {summary}" for name, summary in COMMANDS.items())
    parser = ArgumentParser(
        prog="wsmb",
        usage="wsmb COMMAND ...",
        description=f"Use a WebSocket message broker from a shell.\n\ncommands:\n{commands}",
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"wsmb {__version__}")
    try:
        _, further = parser.parse_known_args(argv[:1])
    except SystemExit as stop:  # --help, --version
        return int(stop.code or 0)
    what = "no such command" if further else "no command"
    print(f"wsmb: {what}; there are {', '.join(COMMANDS)} (see wsmb --help)", file=sys.stderr)
    return USAGE


if __name__ == "__main__":
    sys.exit(main())
