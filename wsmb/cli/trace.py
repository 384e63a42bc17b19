"""`wsmb trace`: print what becomes of one message, step by step."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from wsmb import wire
from wsmb.cli import arguments as common
from wsmb.cli.arguments import DONE, UsageError
from wsmb.cli.output import Output
from wsmb.cli.receiving import Receiving
from wsmb.errors import CommandError
from wsmb.message_ids import key_of
from wsmb.traces import channel_of

DESCRIPTION = """\
Print, as one line of JSON for each, the steps of the message that is going to be sent on CHANNEL under
MESSAGE_ID: taken, stored, handed, proved and so on (docs/operations.md). Start it before the message is
sent, for the broker follows only what somebody has asked about: a line on standard error says that it
does. It ends on SIGTERM, SIGINT or after --count lines. With an access list, the user needs a line such
as: allow[] = admin receive $trace.*"""

EXAMPLE = """\
  wsmb trace sms order-17 --sender shop
  wsmb send sms --message-id order-17 '{"receiver":"0812","message":"hello"}'"""


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Carry out `wsmb trace` with the arguments after that word. Raises UsageError."""
    arguments = parser().read(argv)
    if arguments.count == 0:
        return DONE
    if sys.stdout is None:
        raise UsageError("standard output is closed")
    target = common.target(arguments, environ)
    try:
        channel = wire.channel_name(arguments.channel)
        message_id = wire.message_id(arguments.message_id)
    except CommandError as error:
        raise UsageError(str(error)) from None
    sender = arguments.sender or target.user
    steps = channel_of(key_of(sender, channel, message_id))
    output = Output(sys.stdout.fileno())

    def make(console: Any, reactor: Any) -> Receiving:
        receiving = Receiving(
            [steps],
            output.write,
            console.say,
            console.finish,
            reactor,
            count=arguments.count,
            accepted=lambda: console.say(f"following {message_id} of {sender} on {channel}"),
        )
        output.watch(reactor, receiving.interrupted)
        return receiving

    from wsmb.cli.running import run  # noqa: PLC0415 (Twisted only once the arguments are right)

    return run("trace", target, make, output.interrupt)


def parser() -> common.Parser:
    """Its arguments."""
    parser = common.Parser("wsmb trace", "CHANNEL MESSAGE_ID ", DESCRIPTION, EXAMPLE)
    parser.add_argument("channel", metavar="CHANNEL", help="where the message is going to be sent")
    parser.add_argument("message_id", metavar="MESSAGE_ID", help="under which id")
    parser.add_argument("--sender", metavar="NAME", help="by which user (default: the one that asks)")
    parser.add_argument("--count", type=common.count, metavar="N", help="end after N steps")
    parser.add_target()
    return parser
