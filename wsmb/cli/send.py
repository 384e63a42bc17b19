"""`wsmb send`: send items to a channel."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wsmb.cli import arguments as common
from wsmb.cli.lines import InputReader, Lines
from wsmb.cli.sending import GivenFrames, Sending
from wsmb.client.core import json_item, send_message, text_item

DESCRIPTION = """\
Send each ITEM, a JSON value, to CHANNEL; without ITEM the lines of standard input, a JSON value each
(empty lines are passed over). Done means that the broker has carried all of it out."""

EXAMPLE = """\
  wsmb send sms '{"receiver":"0812","message":"hello"}'
  wsmb send --text log < /var/log/syslog"""

Encode = Callable[[bytes], bytes]
"""What an item is as JSON; raises ValueError."""


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Carry out `wsmb send` with the arguments after that word. Raises UsageError."""
    arguments = _parser().read(argv)
    channel = common.channels(arguments.words[:1], environ)[0]
    encode = text_item if arguments.text else json_item
    items = [_given(word, place, encode) for place, word in enumerate(arguments.words[1:], 1)]
    target = common.target(arguments, environ)
    if not items and sys.stdin is None:
        raise common.UsageError("no ITEM, and standard input is closed")

    def frame(item: bytes) -> bytes:
        return send_message(channel, item, arguments.number_of_receiver)

    def make(console: Any, reactor: Any) -> Sending:
        sending = Sending(console.say, console.finish, reactor, arguments.timeout)
        if items:
            sending.source = GivenFrames([frame(item) for item in items], sending)
        else:
            sending.source = line_source(reactor, sys.stdin.fileno(), sending, encode, frame)
        return sending

    from wsmb.cli.running import run  # noqa: PLC0415 (Twisted only once the arguments are right)

    return run("send", target, make)


def _parser() -> common.Parser:
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
        "--timeout",
        type=common.seconds,
        default=30.0,
        metavar="SECONDS",
        help="try for so long to connect, and wait for so long for each answer at the end (default 30)",
    )
    parser.add_target()
    return parser


def _given(word: str, place: int, encode: Encode) -> bytes:
    try:
        return encode(os.fsencode(word))
    except UnicodeDecodeError:
        raise common.UsageError(f"ITEM {place} is not UTF-8; nothing was sent") from None
    except ValueError as error:
        remedy = "; --text sends plain texts"
        raise common.UsageError(f"ITEM {place} is {error}; nothing was sent{remedy}") from None


def line_source(
    reactor: Any, descriptor: int, sending: Sending, encode: Encode, frame: Callable[[bytes], bytes]
) -> InputReader:
    """The lines of `descriptor` as a source of frames; a bad one is skipped."""
    lines = Lines()

    def take(number: int, line: bytes | None) -> None:
        if line is None:
            sending.skip(f"line {number} is too long; it was not sent")
            return
        if not line.strip():
            return
        try:
            sending.take(frame(encode(line.removesuffix(b"\r"))))
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
