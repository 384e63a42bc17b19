"""`wsmb bench`: put a load on a broker and measure it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from wsmb.bench.connections import connected
from wsmb.bench.dialect import WsmbDialect
from wsmb.bench.load import RUN_CHARS, Load, channel_names
from wsmb.bench.marks import LEAST_BODY_BYTES, is_countable
from wsmb.bench.opening import BenchError, place
from wsmb.bench.progress import progress_bar
from wsmb.bench.results import Round, summary, table
from wsmb.bench.rounds import OneRound
from wsmb.cli import arguments as common
from wsmb.cli.arguments import DONE, FAILED
from wsmb.client.commands import check_channel
from wsmb.client.target import Target

DESCRIPTION = """\
Put a load on a broker over ws:// and measure it: messages and deliveries a second, latency, and what was
lost or came twice. It sends on channels of its own, PREFIX.<random>.<n>; where the broker keeps messages,
what no receiver took stays there. Connections are dealt out to the channels in turn. Latency counts from
when a message was sent, with --rate from when it was due. With --confirm nobody receives, and a message
counts once the broker has confirmed it: that it is on the disk, on a channel that is kept."""

EXAMPLE = """\
  wsmb bench                                   # one to one, at most 256 messages in flight
  wsmb bench --window 1                        # one at a time
  wsmb bench --receivers 100 --rate 500        # one to a hundred, 500 messages a second
  wsmb bench --confirm                         # kept, at most 256 messages not confirmed
  wsmb bench --senders 20 --messages 1000000 --json -"""

LONGEST_MESSAGE_BYTES = 16_777_216
DEFAULT_SECONDS = 3.0
_ANY_RUN = "x" * RUN_CHARS


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Carry out `wsmb bench` with the arguments after that word. Raises UsageError."""
    arguments = parser().read(argv)
    load = _load(arguments)
    target = common.target(arguments, environ)
    if target.is_secure:
        raise common.UsageError("works over ws:// only: measure without TLS")
    try:
        found = summary(load, _rounds(arguments, load, target))
    except BenchError as error:
        return _fail(f"{target.url}: {error}")
    except KeyboardInterrupt:
        return _fail("interrupted")
    _show(found, arguments.json)
    return FAILED if found["result"]["lost"] or found["result"]["duplicated"] else DONE


def _rounds(arguments: argparse.Namespace, load: Load, target: Target) -> list[Round]:
    dialect = WsmbDialect(load.number_of_receiver, confirm=load.confirm)
    there = place(target, dialect, load.timeout_s)
    with (
        progress_bar(sys.stderr, arguments.rounds) as progress,
        connected(load, dialect, there, arguments.channel) as connections,
    ):
        return [OneRound(load, connections, progress).carry_out() for _ in range(arguments.rounds)]


def _show(found: dict[str, Any], json_file: str | None) -> None:
    if json_file is not None:
        text = json.dumps(found, indent=2) + "\n"
        if json_file == "-":
            os.write(sys.stdout.fileno(), text.encode())
        else:
            try:
                with open(json_file, "w", encoding="utf-8") as file:
                    file.write(text)
            except OSError as error:
                _fail(f"--json {json_file}: {error.strerror}")
    print(table(found), file=sys.stderr if json_file == "-" else sys.stdout, flush=True)


def _fail(line: str) -> int:
    print(f"wsmb bench: {line}", file=sys.stderr)
    return FAILED


def _load(arguments: argparse.Namespace) -> Load:
    seconds = arguments.seconds
    load = Load(
        senders=arguments.senders,
        receivers=_receivers(arguments),
        channels=arguments.channels,
        size=arguments.size,
        messages=arguments.messages,
        seconds=DEFAULT_SECONDS if seconds is None and arguments.messages is None else seconds,
        window=arguments.window,
        rate=arguments.rate,
        number_of_receiver=arguments.number_of_receiver,
        timeout_s=arguments.timeout,
        confirm=arguments.confirm,
    )
    problem = load.problem() or _channel_problem(arguments.channel) or _size_problem(load, arguments.channel)
    if problem is not None:
        raise common.UsageError(problem)
    return load


def _receivers(arguments: argparse.Namespace) -> int:
    if arguments.receivers is not None:
        return int(arguments.receivers)
    return 0 if arguments.confirm else 1


def _channel_problem(prefix: str) -> str | None:
    if not (prefix.isascii() and prefix.replace("-", "").replace(".", "").isalnum()):
        return "--channel takes ASCII letters, digits, - and ."
    try:
        check_channel(f"{prefix}.{_ANY_RUN}.xxxx")
    except ValueError as error:
        return str(error)
    return None


def _size_problem(load: Load, prefix: str) -> str | None:
    name = channel_names(prefix, _ANY_RUN, load.channels)[0]
    room = WsmbDialect(load.number_of_receiver, confirm=load.confirm).body_bytes(name, load.size)
    if room < LEAST_BODY_BYTES:
        least = load.size - room + LEAST_BODY_BYTES
        return f"--size: a message has at least {least} bytes here (shorter with a shorter --channel)"
    if load.size > LONGEST_MESSAGE_BYTES:
        return f"--size is at most {LONGEST_MESSAGE_BYTES}"
    if not is_countable(load.size):
        return f"--size: messages of just {load.size} bytes cannot be counted: take one more"
    return None


def parser() -> common.Parser:
    """Its arguments."""
    parser = common.Parser("wsmb bench", "", DESCRIPTION, EXAMPLE)
    parser.add_argument("--receivers", type=common.number, metavar="R", help="how many (default 1)")
    for name, what in (("senders", "S"), ("channels", "C")):
        parser.add_argument(
            f"--{name}", type=common.number, default=1, metavar=what, help="how many (default 1)"
        )
    parser.add_argument(
        "--size", type=common.number, default=128, metavar="BYTES", help="of a message's JSON (default 128)"
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--messages", type=common.number, metavar="N", help="send so many in all")
    length.add_argument(
        "--seconds", type=common.seconds, metavar="S", help=f"send for so long (default {DEFAULT_SECONDS:g})"
    )
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument(
        "--window",
        type=common.number,
        default=256,
        metavar="N",
        help="at most so many messages in flight for each sender (default 256); 1 is one at a time",
    )
    pace.add_argument("--rate", type=_rate, metavar="N", help="so many messages a second in all")
    _add_further(parser)
    parser.add_target()
    return parser


def _add_further(parser: common.Parser) -> None:
    parser.add_argument(
        "--number-of-receiver",
        type=common.count,
        metavar="N",
        help="how many receivers get each message; 0 is all (default: as the broker is set, taken for all)",
    )
    parser.add_argument(
        "--confirm",
        action="store_true",
        help="without receivers: a message counts once the broker has confirmed it to its sender",
    )
    parser.add_argument(
        "--rounds", type=common.number, default=1, metavar="N", help="and the median (default 1)"
    )
    parser.add_argument(
        "--channel", default="bench", metavar="PREFIX", help="of channel names (default bench)"
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures there; - is standard output")
    parser.add_argument(
        "--timeout",
        type=common.seconds,
        default=120.0,
        metavar="SECONDS",
        help="give up opening, or a round, after so long (default 120)",
    )


def _rate(text: str) -> float:
    try:
        return float(common.number(text))
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError("a whole number of messages a second is needed") from None
