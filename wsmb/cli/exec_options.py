"""`wsmb receive --exec`: its options, and how it is put together."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import Any

from wsmb.cli import arguments as common
from wsmb.client.target import Target

JOBS, TIMEOUT_S, RETRY_S = 1, 25.0, 5.0
_ONLY_WITH_EXEC = ("jobs", "timeout", "retry_delay", "dead_on")
_NEVER_WITH_EXEC = ("count", "with_channel", "no_ack")

_ABOUT = """\
Exit status 0 acknowledges the item, any other has it come again. The item is the JSON on the command's
standard input. WSMB_ITEM_MESSAGE is the text, number or truth value in the item's field "message" (in
upper case, and with _ for all but A-Z and 0-9; what is longer than 100,000 bytes or has a NUL is left out),
WSMB_ITEM the item itself if it is no object, WSMB_CHANNEL its channel, and WSMB_REDELIVERED is 1 if it may
have been tried before. No other variable that begins with WSMB_ or MQ_ is handed down. The command's output
goes where that of wsmb goes. On SIGTERM or SIGINT nothing more is begun, and wsmb ends with 0 when the
running commands have; a second signal kills them."""


def add_exec_options(parser: common.Parser) -> None:
    """The options of --exec, in a group of their own."""
    group = parser.add_argument_group("a command for each item", _ABOUT)
    group.add_argument("--exec", metavar="COMMAND", help="for /bin/sh")
    group.add_argument(
        "--jobs", type=common.number, metavar="N", help=f"so many at once at most (default {JOBS})"
    )
    group.add_argument(
        "--timeout",
        type=common.seconds,
        metavar="SECONDS",
        help="a command that takes longer is ended, and its item comes again; the broker's ack_timeout has to"
        f" be more than twice as long (default {TIMEOUT_S:g}, which goes with its default)",
    )
    group.add_argument(
        "--retry-delay",
        type=common.seconds,
        metavar="SECONDS",
        help="before an item that has failed comes again; it doubles with each failure, up to 5 minutes"
        f" (default {RETRY_S:g}). After max_deliveries tries (20) the broker puts it to the dead letters",
    )
    group.add_argument(
        "--dead-on",
        type=_status,
        action="append",
        metavar="STATUS",
        help="an item whose command ends with this goes to the dead letters at once; may be repeated",
    )


def check_exec_options(arguments: argparse.Namespace) -> None:
    """Raises UsageError for what does not go together."""
    names = _ONLY_WITH_EXEC if arguments.exec is None else _NEVER_WITH_EXEC
    for name in names:
        if getattr(arguments, name):
            option = "--" + name.replace("_", "-")
            how = "goes with --exec only" if arguments.exec is None else "does not go with --exec"
            raise common.UsageError(f"{option} {how}")
    if arguments.exec is not None and not arguments.exec.strip():
        raise common.UsageError("--exec: no command")


def execute(
    arguments: argparse.Namespace, channels: Sequence[str], target: Target, environ: Mapping[str, str]
) -> int:
    """Run the command for each item; the exit status."""
    from wsmb.cli.executing import Executing  # noqa: PLC0415 (only who wants it pays for it)
    from wsmb.cli.item_environment import without_ours  # noqa: PLC0415
    from wsmb.cli.running import run  # noqa: PLC0415
    from wsmb.cli.shell import Shell  # noqa: PLC0415
    from wsmb.cli.work import Work  # noqa: PLC0415

    timeout_s = arguments.timeout or TIMEOUT_S
    jobs = arguments.jobs or JOBS
    inherited = without_ours({os.fsencode(name): os.fsencode(value) for name, value in environ.items()})

    def make(console: Any, reactor: Any) -> Executing:
        shell = Shell(arguments.exec, inherited, reactor, timeout_s)
        shell.watch()
        return Executing(
            channels,
            shell,
            Work(timeout_s, arguments.retry_delay or RETRY_S),
            console.say,
            console.finish,
            reactor,
            jobs=jobs,
            prefetch=arguments.prefetch or jobs,
            dead_on=frozenset(arguments.dead_on or ()),
        )

    return run("receive", target, make)


def _status(text: str) -> int:
    status = common.count(text)
    if not 1 <= status <= 255:
        raise argparse.ArgumentTypeError("an exit status from 1 to 255 is needed")
    return status
