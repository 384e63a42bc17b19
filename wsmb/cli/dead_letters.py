"""`wsmb dead-letters`: look at what could not be delivered, send it again, or drop it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from wsmb.cli import arguments as common
from wsmb.cli.letter_actions import Choice, Dropping, Printing, Replaying
from wsmb.cli.letter_box import Action, LetterBox
from wsmb.cli.letters import LEAST_NAME_CHARS, Letter
from wsmb.settings import DEAD_LETTERS

DESCRIPTION = """\
Items that receivers have rejected for good, or that were tried too often, wait on a channel of their own,
dead.CHANNEL. This command reads it as a receiver that acknowledges, and ends when no more come.

  list CHANNEL           a line for each letter: ID, time, reason, deliveries, last receiver, and how its
                         item begins, with tabs between
  show CHANNEL ID ...    the letters as JSON, with their whole items
  replay CHANNEL ID ...  send the items to CHANNEL again; each letter goes once the broker has confirmed it
  drop CHANNEL ID ...    forget the letters

An ID is made of what the letter says: it stays the same whatever else comes and goes. Its beginning will do.
Letters that say the same have the same ID; each ID that is given means one of them. --all, instead of IDs,
means all that were there when the command began. replay and drop print the ID of each letter that is done.
While the command runs no other receiver of dead.CHANNEL gets the letters; killed at any moment, it loses
none, and a replay that is repeated within ten minutes sends nothing twice (but, perhaps, of letters that say
the same). Where CHANNEL is not kept and nobody receives on it, letters stay: replay them 10 minutes later."""

EXAMPLE = """\
  wsmb dead-letters list sms
  wsmb dead-letters show sms 3f09c2d1a8b4
  wsmb dead-letters replay sms 3f09 77ab
  wsmb dead-letters drop sms --all"""

ACTIONS = ("list", "show", "replay", "drop")


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Carry out `wsmb dead-letters` with the arguments after that word. Raises UsageError."""
    arguments = parser().read(argv)
    channel, words = _check(arguments)
    box = common.channels([arguments.dead_letter_channel or DEAD_LETTERS + channel], {})[0]
    target = common.target(arguments, environ)
    if sys.stdout is None:
        raise common.UsageError("standard output is closed")

    def make(console: Any, reactor: Any) -> LetterBox:
        letters = LetterBox(
            channel,
            box,
            console.say,
            console.finish,
            reactor,
            wait_s=arguments.wait,
            timeout_s=arguments.timeout,
        )
        letters.action = _action(arguments.words[0], letters, Choice(words, console.say), console)
        return letters

    from wsmb.cli.running import run  # noqa: PLC0415 (Twisted only once the arguments are right)

    return run("dead-letters", target, make)


def _check(arguments: argparse.Namespace) -> tuple[str, list[str]]:
    """The channel, and the letters that are named."""
    action, *rest = arguments.words or [""]
    if action not in ACTIONS:
        raise common.UsageError(f"first comes one of {', '.join(ACTIONS)}; see wsmb dead-letters --help")
    if not rest:
        raise common.UsageError("no channel: name the one that the letters were for")
    channel = common.channels(rest[:1], {})[0]
    words = [word.lower() for word in rest[1:]]
    for word in words:
        if len(word) < LEAST_NAME_CHARS or word.strip("0123456789abcdef"):
            raise common.UsageError(f"an ID has {LEAST_NAME_CHARS} or more of 0-9 and a-f; list shows them")
    if action == "list":
        if words or arguments.all:
            raise common.UsageError("list takes no ID: it lists them all")
    elif bool(words) == arguments.all:
        raise common.UsageError(f"{action} which: give IDs, or --all")
    return channel, words


def _action(name: str, box: LetterBox, choice: Choice, console: Any) -> Action:
    def write(data: bytes) -> None:
        try:
            while data:
                data = data[os.write(sys.stdout.fileno(), data) :]
        except OSError as error:
            console.finish(common.FAILED, f"standard output: {error.strerror}")

    if name in ("list", "show"):
        return Printing(box, choice, write, Letter.row if name == "list" else Letter.pretty)
    return (Dropping if name == "drop" else Replaying)(box, choice, write, console.say)


def parser() -> common.Parser:
    """Its arguments."""
    parser = common.Parser("wsmb dead-letters", "ACTION CHANNEL [ID ...] ", DESCRIPTION, EXAMPLE)
    parser.add_argument(
        "words",
        nargs="*",
        metavar="ACTION, CHANNEL, ID",
        help="what to do, with the letters of which channel",
    )
    parser.add_argument("--all", action="store_true", help="all letters of CHANNEL")
    parser.add_argument(
        "--dead-letter-channel",
        metavar="NAME",
        help="where they are, if the broker's setting dead_letter_channel says so (default dead.CHANNEL);"
        " what is there for other channels is left alone",
    )
    parser.add_argument(
        "--wait",
        type=common.seconds,
        default=0.5,
        metavar="SECONDS",
        help="take it for the end when nothing has come for so long; more than the broker's delay_send"
        " (default 0.5)",
    )
    parser.add_argument(
        "--timeout",
        type=common.seconds,
        default=30.0,
        metavar="SECONDS",
        help="wait for so long for the broker's answers (default 30)",
    )
    parser.add_target()
    return parser
