"""`wsmb send`: send items to a channel."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wsmb.cli import arguments as common
from wsmb.cli.lines import InputReader, Lines
from wsmb.cli.sending import GivenFrames, Sending
from wsmb.client.commands import check_message_id, json_item, send_message, text_item

DESCRIPTION = """\
Send each ITEM, a JSON value, to CHANNEL; without ITEM the lines of standard input, a JSON value each
(empty lines are passed over). Done means that the broker has confirmed all of it: it has committed each
item to its database, or handed it to receivers (or there was nobody, on a channel that is not kept). Of
what it has refused, the number of the line or ITEM is said, and why."""

EXAMPLE = """\
  wsmb send sms '{"receiver":"0812","message":"hello"}'
  wsmb send --text log < /var/log/syslog
  wsmb send sms --ttl 300 --message-id otp-4711 '{"receiver":"0812","message":"your code is 123456"}'"""

NUMBER_CHARS = 14
"""Of what is put behind --message-id where there may be several items: a colon and a number."""

Encode = Callable[[bytes], bytes]
"""What an item is as JSON; raises ValueError."""
Frame = Callable[[int, bytes], bytes]
"""The command that sends the item of that number."""


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Carry out `wsmb send` with the arguments after that word. Raises UsageError."""
    arguments = parser().read(argv)
    channel = common.channels(arguments.words[:1], environ)[0]
    encode = text_item if arguments.text else json_item
    items = [_given(word, place, encode) for place, word in enumerate(arguments.words[1:], 1)]
    _check_message_id(arguments.message_id, is_one=len(items) == 1)
    target = common.target(arguments, environ)
    if not items and sys.stdin is None:
        raise common.UsageError("no ITEM, and standard input is closed")

    def frame(number: int, item: bytes) -> bytes:
        message_id = arguments.message_id
        if message_id is not None and len(items) != 1:
            message_id = f"{message_id}:{number}"
        return send_message(
            channel,
            item,
            arguments.number_of_receiver,
            confirm=number,
            message_id=message_id,
            ttl_s=arguments.ttl,
        )

    def make(console: Any, reactor: Any) -> Sending:
        noun = "ITEM" if items else "line"
        sending = Sending(console.say, console.finish, reactor, arguments.timeout, noun)
        if items:
            sending.source = GivenFrames([frame(*one) for one in enumerate(items, 1)], sending)
        else:
            sending.source = line_source(reactor, sys.stdin.fileno(), sending, encode, frame)
        return sending

    from wsmb.cli.running import run  # noqa: PLC0415 (Twisted only once the arguments are right)

    return run("send", target, make)


def parser() -> common.Parser:
    """Its arguments."""
    parser = common.Parser("wsmb send", "CHANNEL [ITEM ...] ", DESCRIPTION, EXAMPLE)
    parser.add_argument("words", nargs="*", metavar="CHANNEL, ITEM", help="the channel, then the items")
    parser.add_argument("--text", action="store_true", help="items are plain texts, sent as JSON strings")
    parser.add_argument(
        "--number-of-receiver",
        type=common.count,
        metavar="N",
        help="how many receivers get each item; 0 is all (default: as the broker is set)",
    )
    parser.add_argument(
        "--ttl",
        type=common.seconds,
        metavar="SECONDS",
        help="what has not been delivered after so long is not delivered any more",
    )
    parser.add_argument(
        "--message-id",
        metavar="ID",
        help="what the same user has sent under this id before is not sent again for ten minutes, so that a"
        " command whose end is not known can be repeated; with several items, the ids are ID:1, ID:2, ...",
    )
    parser.add_argument(
        "--timeout",
        type=common.seconds,
        default=30.0,
        metavar="SECONDS",
        help="try for so long to connect, and wait for so long for each answer at the end (default 30)",
    )
    parser.add_target()
    return parser


def _check_message_id(message_id: str | None, *, is_one: bool) -> None:
    if message_id is None:
        return
    try:
        check_message_id(message_id)
        check_message_id(message_id if is_one else message_id + "x" * NUMBER_CHARS)
    except ValueError as error:
        room = "" if is_one else f", {NUMBER_CHARS} of them for the number of each item"
        raise common.UsageError(f"--message-id: {error}{room}") from None


def _given(word: str, place: int, encode: Encode) -> bytes:
    try:
        return encode(os.fsencode(word))
    except UnicodeDecodeError:
        raise common.UsageError(f"ITEM {place} is not UTF-8; nothing was sent") from None
    except ValueError as error:
        remedy = "; --text sends plain texts"
        raise common.UsageError(f"ITEM {place} is {error}; nothing was sent{remedy}") from None


def line_source(reactor: Any, descriptor: int, sending: Sending, encode: Encode, frame: Frame) -> InputReader:
    """The lines of `descriptor` as a source of frames; a bad one is skipped."""
    lines = Lines()

    def take(number: int, line: bytes | None) -> None:
        if line is None:
            sending.skip(f"line {number} is too long; it was not sent")
            return
        if not line.strip():
            return
        try:
            sending.take(frame(number, encode(line.removesuffix(b"\r"))))
        except ValueError:
            expected = "UTF-8" if encode is text_item else "JSON"
            sending.skip(f"line {number} is not {expected}; it was not sent")

    def feed(chunk: bytes) -> None:
        for number, line in lines.feed(chunk):
            take(number, line)

    def end() -> None:
        for number, line in lines.end():
            take(number, line)
        sending.end()

    return InputReader(reactor, descriptor, feed, end)
