"""`wsmb access explain USER send|receive|admin CHANNEL`: which line of the access list decides."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from wsmb import wire
from wsmb.access import ACTIONS, RESERVED, SEND, AccessList, Action
from wsmb.cli import arguments as common
from wsmb.cli.arguments import FAILED, UsageError
from wsmb.config import load_access
from wsmb.errors import CommandError, SettingError

_DESCRIPTION = (
    "Say whether USER may send or receive on CHANNEL, and which line of the access list decides that."
)
_EXAMPLE = """\
  wsmb access explain shop send sms --config wsmb.ini

The list is the one that a broker would have that is started with this configuration now."""
_EXIT_CODES = "exit codes: 0 allowed, 1 denied, 2 wrong usage or a configuration that cannot be read"


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Carry out `wsmb access` with the arguments after that word; 0 allowed, 1 denied. Raises UsageError."""
    arguments = parser().read(argv)
    try:
        config_file = arguments.config or environ.get("WSMB_CONFIG")
        rules = load_access(config_file=config_file, environ=environ, cwd=os.getcwd())
        channel = wire.channel_name(arguments.channel)
    except (SettingError, CommandError) as error:
        raise UsageError(str(error)) from None
    if arguments.action == SEND and channel.startswith(RESERVED):
        print(f"denied: on names that begin with {RESERVED} only the broker sends")
        return FAILED
    if rules is None:
        where = f"{config_file} has" if config_file else "no configuration file is named, so there is"
        print(f"allowed: {where} no access list, and every user may do everything")
        return 0
    return _explain(AccessList(rules), arguments.user, arguments.action, channel)


def parser() -> common.Parser:
    """Its arguments."""
    parser = common.Parser(
        "wsmb access",
        "explain USER send|receive|admin CHANNEL ",
        _DESCRIPTION,
        _EXAMPLE,
        environment="",
        exit_codes=_EXIT_CODES,
    )
    parser.add_argument("verb", metavar="explain", choices=["explain"])
    parser.add_argument("user", metavar="USER")
    parser.add_argument("action", metavar="send|receive|admin", choices=ACTIONS)
    parser.add_argument("channel", metavar="CHANNEL")
    parser.add_argument("--config", metavar="FILE", help="the broker's (default: that of WSMB_CONFIG)")
    return parser


def _explain(access: AccessList, user: str, action: Action, channel: str) -> int:
    allowed, line = access.decide(user, action, channel)
    if line is None:
        named = f"; names that begin with {RESERVED} fit lines only that begin so, too"
        print(f"denied: no line fits{named if channel.startswith(RESERVED) else ''}")
    else:
        print(f"{'allowed' if allowed else 'denied'} by {line.place}: {line.text}")
    limit = access.receiver_limit(user)
    if allowed and action == SEND and limit is not None:
        print(f"number_of_receiver {limit.most} at most, by {limit.place}: {limit.text}")
    return 0 if allowed else FAILED
