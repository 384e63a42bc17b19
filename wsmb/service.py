"""The `twistd wsmb` command line."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from twisted.python import usage

from wsmb import __version__
from wsmb.broker_service import BrokerService
from wsmb.config import SettingsSource
from wsmb.errors import SettingError
from wsmb.settings import Settings


class Options(usage.Options):
    """The options of `twistd wsmb`; the settings that they and the file give are in `settings`."""

    settings: Settings
    source: SettingsSource
    """To read them again."""

    synopsis = "[options]"
    longdesc = (
        "A WebSocket message broker. Users are in an htpasswd file (make one with 'wsmb passwd FILE USER'). "
        "All settings are in wsmb.ini.example; the command line goes before the environment "
        "(WSMB_DATABASE_PASSWORD, ...), the environment before the file."
    )
    optParameters = (
        ("config", "c", None, "Configuration file (INI; the original's config.ini works as it is)."),
        ("htpasswd", None, None, "Password file."),
        (
            "database",
            None,
            None,
            "memory:, sqlite:///path, mysql:// or pgsql://user:password@host:port/name.",
        ),
        ("keep-data", None, None, "Keep messages that find no receiver: false, true or always."),
    )

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = []

    def opt_listen(self, endpoint: str) -> None:
        """Twisted endpoint to listen on, such as tcp:8888:interface=127.0.0.1; may be repeated."""
        self["listen"].append(endpoint)

    opt_l = opt_listen

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"wsmb {__version__}")
        sys.exit(0)

    def postOptions(self) -> None:
        """Read the configuration, while relative paths still mean what the user meant."""
        overrides = {name.replace("-", "_"): self[name] for name in ("htpasswd", "database", "keep-data")}
        overrides["listen"] = self["listen"] or None
        self.source = SettingsSource(
            config_file=self["config"] or os.environ.get("WSMB_CONFIG"),
            overrides={name: value for name, value in overrides.items() if value is not None},
            environ=os.environ,
            cwd=os.getcwd(),
        )
        try:
            self.settings = self.source.load()
        except SettingError as problem:
            _give_up(problem)


def makeService(options: Options) -> BrokerService:
    """The service for `twistd`."""
    # Imported here, where twistd has chosen which reactor it is to be.
    from twisted.internet import reactor  # noqa: PLC0415

    # Until there is something to read again, it is not to end the process, which is what it does by default.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        # The daemon's own standard error is gone by the time that a port turns out to be in use.
        broker = BrokerService(options.settings, options.source, reactor, os.fdopen(os.dup(2), "w"))
    except SettingError as problem:
        _give_up(problem)
    broker.twistd_options = options.parent
    return broker


def _give_up(problem: SettingError) -> NoReturn:
    # A usage error would print the whole help before the one line that matters.
    print(f"wsmb: {problem}", file=sys.stderr)
    sys.exit(1)
