"""`wsmb completion SHELL`: what makes a shell complete the words of `wsmb`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from wsmb.cli import arguments as common
from wsmb.cli.arguments import DONE, FAILED
from wsmb.cli.main import COMMANDS, module_of

SHELLS = ("bash", "zsh", "fish")

DESCRIPTION = """\
Print what makes a shell complete the commands and options of wsmb, and names of files where they belong."""

EXAMPLE = """\
  wsmb completion bash > ~/.local/share/bash-completion/completions/wsmb
  wsmb completion zsh > ~/.zfunc/_wsmb        # a folder in your fpath
  wsmb completion fish > ~/.config/fish/completions/wsmb.fish"""


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Carry out `wsmb completion` with the arguments after that word. Raises UsageError."""
    arguments = parser().read(argv)
    try:
        import shtab  # noqa: PLC0415 (only this command wants it)
    except ImportError:
        print("wsmb completion: pip install 'wsmb[completion]' first", file=sys.stderr)
        return FAILED
    files = {"FILE": shtab.FILE, "DIR": shtab.DIRECTORY}
    print(shtab.complete(whole_parser(files), arguments.shell))
    return DONE


def parser() -> common.Parser:
    """Its arguments."""
    parser = common.Parser("wsmb completion", "SHELL ", DESCRIPTION, EXAMPLE, environment="")
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))
    return parser


def whole_parser(completions: Mapping[str, Any]) -> argparse.ArgumentParser:
    """All of the `wsmb` command as one parser; what its arguments with these metavars complete to."""
    whole = argparse.ArgumentParser(prog="wsmb", description="Use a WebSocket message broker.")
    whole.add_argument("--version", action="store_true", help="show the version")
    commands = whole.add_subparsers()
    for name, summary in COMMANDS.items():
        one = module_of(name).parser()
        for action in one._actions:
            if action.metavar in completions:
                action.complete = completions[action.metavar]
        commands.add_parser(name, parents=[one], add_help=False, help=summary, description=summary)
    return whole
