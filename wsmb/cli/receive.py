"""`wsmb receive`: print what comes on channels, one JSON line for each item, or run a command for each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from wsmb import wire
from wsmb.cli import arguments as common
from wsmb.cli.arguments import DONE
from wsmb.cli.exec_options import add_exec_options, check_exec_options, execute
from wsmb.cli.output import Output
from wsmb.cli.receiving import Receiving

DESCRIPTION = """\
Print each item that comes on the channels as one line of JSON. What has been written to standard output
is acknowledged; what has not (the disk is full, the reader is gone, the command is killed) the broker
delivers again, so that nothing is lost, and the last lines before such an end may come twice. Connects
again, for ever, when the connection is lost; ends on SIGTERM, SIGINT, after --count items, and when
nobody reads its output. Or, with --exec, run a command for each item."""

EXAMPLE = """\
  wsmb receive sms | while read -r item; do echo "got $item"; done
  wsmb receive sms --count 1 >> outbox.jsonl
  wsmb receive sms --exec 'gammu sendsms TEXT "$WSMB_ITEM_RECEIVER" -text "$WSMB_ITEM_MESSAGE"'
  wsmb receive jobs --jobs 4 --timeout 300 --dead-on 65 --exec ./work.sh"""

COUNT_HELP = """\
end after N items, and leave all others to the broker. A frame with more items than are still wanted is
given back, which counts as a try; the broker then sends its items one by one. Where it does not, what is
wanted of the frame is printed, and the frame is left for the next receiver as a whole"""


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Carry out `wsmb receive` with the arguments after that word. Raises UsageError."""
    arguments = parser().read(argv)
    check_exec_options(arguments)
    channels = common.channels(arguments.words, environ)
    target = common.target(arguments, environ)
    if arguments.exec is not None:
        return execute(arguments, channels, target, environ)
    if arguments.count == 0:
        return DONE
    if sys.stdout is None:
        raise common.UsageError("standard output is closed")
    output = Output(sys.stdout.fileno())

    def make(console: Any, reactor: Any) -> Receiving:
        receiving = Receiving(
            channels,
            output.write,
            console.say,
            console.finish,
            reactor,
            count=arguments.count,
            with_channel=arguments.with_channel,
            prefetch=_prefetch(arguments),
        )
        output.watch(reactor, receiving.interrupted)
        return receiving

    from wsmb.cli.running import run  # noqa: PLC0415 (Twisted only once the arguments are right)

    return run("receive", target, make, output.interrupt)


def _prefetch(arguments: argparse.Namespace) -> int | None:
    """How many frames may be on their way; None if nothing is to be acknowledged."""
    if arguments.no_ack:
        return None
    if arguments.prefetch:
        return int(arguments.prefetch)
    return wire.DEFAULT_PREFETCH if arguments.count is None else 1


def parser() -> common.Parser:
    """Its arguments."""
    parser = common.Parser("wsmb receive", "CHANNEL [CHANNEL ...] ", DESCRIPTION, EXAMPLE)
    parser.add_argument("words", nargs="*", metavar="CHANNEL", help="one or more channels")
    parser.add_argument("--count", type=common.count, metavar="N", help=COUNT_HELP)
    parser.add_argument(
        "--with-channel", action="store_true", help='print {"channel":...,"data":...} for each item'
    )
    acks = parser.add_mutually_exclusive_group()
    acks.add_argument(
        "--prefetch",
        type=common.number,
        metavar="N",
        help="most frames of a channel that are on their way and not acknowledged yet (default"
        f" {wire.DEFAULT_PREFETCH}, with --count 1, with --exec as many as --jobs); fewer for a reader that"
        " takes seconds for an item",
    )
    acks.add_argument(
        "--no-ack",
        action="store_true",
        help="acknowledge nothing: what reaches this process counts as delivered (as with the original"
        " broker, which knows no acknowledgements)",
    )
    add_exec_options(parser)
    parser.add_target()
    return parser
