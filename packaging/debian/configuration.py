"""The package's wsmb.ini: standard input is wsmb.ini.example, in which the places are made Debian's."""

from __future__ import annotations

import sys

# Each line must be there once, or the two files have grown apart.
PLACES = {
    "; Settings of wsmb. Start it with:  twistd -n wsmb --config wsmb.ini": (
        "; Settings of wsmb. /usr/share/doc/wsmb/docs/operations.md says more about this package."
    ),
    "listen = tcp:8888:interface=127.0.0.1": (
        "; Here: what wsmb.socket opens (`systemctl edit wsmb.socket`); domain=INET6 if that is for IPv6.\n"
        "listen = systemd:domain=INET:index=0"
    ),
    "url = sqlite:///wsmb.sqlite3": "url = sqlite:////var/lib/wsmb/wsmb.sqlite3",
    "htpasswd = .htpasswd": "htpasswd = /etc/wsmb/htpasswd",
}


def configuration(example: str) -> str:
    """`example` with Debian's places. Raises ValueError if one of the lines is not there once."""
    lines = example.splitlines()
    for old, new in PLACES.items():
        if lines.count(old) != 1:
            raise ValueError(f"wsmb.ini.example has {lines.count(old)} lines `{old}`, not one")
        lines[lines.index(old)] = new
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(configuration(sys.stdin.read()))
