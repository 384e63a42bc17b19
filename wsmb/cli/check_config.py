"""`wsmb check-config`: whether a broker could start with a configuration, or read it again."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from wsmb.cli import arguments as common
from wsmb.cli.arguments import DONE, FAILED
from wsmb.config import Loaded, SettingsSource
from wsmb.errors import SettingError

_DESCRIPTION = (
    "Say whether a broker can take a configuration, with the files of users and access that it names."
)
_EXAMPLE = """\
  wsmb check-config --config wsmb.ini

Warnings are printed on standard error. Settings of the environment count, as they do for the broker. Give the
options that the broker is started with, too. No port and no database is opened."""
_EXIT_CODES = "exit codes: 0 good, 1 not good, 2 wrong usage"
_OPTIONS = ("htpasswd", "database", "keep-data")


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Carry out `wsmb check-config` with the arguments after that word. Raises UsageError."""
    arguments = vars(parser().read(argv))
    config_file = arguments.pop("config") or environ.get("WSMB_CONFIG")
    source = SettingsSource(config_file=config_file, overrides=arguments, environ=environ, cwd=os.getcwd())
    try:
        loaded = source.load_all()
    except SettingError as problem:
        print(f"wsmb check-config: {problem}", file=sys.stderr)
        return FAILED
    for warning in (
        *loaded.settings.warnings,
        *(f"lines passed over in {one}" for one in loaded.users.passed_over),
    ):
        print(f"wsmb check-config: warning: {warning}", file=sys.stderr)
    print(f"{config_file or 'no configuration file'}: good; {_summary(loaded)}")
    return DONE


def parser() -> common.Parser:
    """Its arguments."""
    parser = common.Parser(
        "wsmb check-config",
        "--config FILE ",
        _DESCRIPTION,
        _EXAMPLE,
        environment="",
        exit_codes=_EXIT_CODES,
    )
    parser.add_argument("--config", metavar="FILE", help="the broker's (default: that of WSMB_CONFIG)")
    for name in _OPTIONS:
        parser.add_argument(f"--{name}", help="as the broker has it on its command line")
    parser.add_argument("--listen", action="append", help="the same; may be repeated")
    return parser


def _summary(loaded: Loaded) -> str:
    settings = loaded.settings
    access = settings.access
    parts: tuple[str, ...] = (
        f"{len(loaded.users.users.hashes)} users",
        "no access list" if access is None else f"{len(access.rules)} allow and deny lines",
        f"{len(settings.channels)} sections of channels",
        f"messages are kept in {settings.database}" if settings.keeps_data else "no messages are kept",
    )
    # Whether systemd has them to give cannot be seen from here: it hands them to what it starts only.
    if any(text.startswith("systemd:") for text in (*settings.listen, *settings.http_listen)):
        parts += ("only systemd can start it, with its sockets",)
    return ", ".join(parts)
