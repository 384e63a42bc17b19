"""What the packages are made of. `make deb-test` tries the Debian package itself."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support import need
from tests.support_config import ConfigCase
from wsmb.config.options import OPTIONS
from wsmb.settings import DatabaseSettings

CHECKOUT = Path(__file__).parent.parent
PACKAGING = CHECKOUT / "packaging"
LIMIT_S = 60.0
BROKER = "/usr/libexec/wsmb/twistd"


def _run(*command: str, text: str = "") -> str:
    """What it says on both outputs. CalledProcessError if it fails."""
    done = subprocess.run(
        command,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    return done.stdout


class UnitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        for unit in (PACKAGING / "systemd").iterdir():
            # The broker is not installed here, and a command that is not there is all that would be said.
            text = unit.read_text().replace(BROKER, shutil.which("true") or "/bin/true")
            (self.folder / unit.name).write_text(text)

    def test_systemd_accepts_the_units(self) -> None:
        need("systemd-analyze")
        units = [str(unit) for unit in sorted(self.folder.iterdir())]
        said = _run("systemd-analyze", "--man=no", "verify", *units)
        self.assertEqual([line for line in said.splitlines() if "wsmb" in line], [])

    def test_the_package_has_what_the_unit_starts(self) -> None:
        self.assertIn(f"ExecStart={BROKER} ", (PACKAGING / "systemd" / "wsmb.service").read_text())
        self.assertIn(f'"$root{BROKER}"', (PACKAGING / "debian" / "build").read_text())


class ConfigurationTests(ConfigCase):
    def test_the_package_keeps_all_in_its_places(self) -> None:
        example = (CHECKOUT / "wsmb.ini.example").read_text()
        text = _run(sys.executable, str(PACKAGING / "debian" / "configuration.py"), text=example)
        for place, here in (("/etc/wsmb/htpasswd", ".htpasswd"), ("/var/lib/wsmb", self.etc)):
            self.assertEqual(text.count(place), 1)
            text = text.replace(place, here)
        settings = self.load_bare(text)
        self.assertEqual(settings.listen, ("systemd:domain=INET:index=0",))
        self.assertEqual(settings.database, DatabaseSettings("sqlite", f"{self.etc}/wsmb.sqlite3"))

    def test_an_example_that_has_another_line_is_noticed(self) -> None:
        script = str(PACKAGING / "debian" / "configuration.py")
        self.assertRaises(subprocess.CalledProcessError, _run, sys.executable, script, text="[server]\n")


class ScriptTests(SynchronousTestCase):
    def test_the_shell_understands_them(self) -> None:
        scripts = [file for file in PACKAGING.rglob("*") if file.is_file() and _is_shell(file)]
        self.assertGreaterEqual(len(scripts), 7)
        for script in scripts:
            self.assertEqual(_run("sh", "-n", str(script)), "", script)


def _is_shell(file: Path) -> bool:
    return file.read_bytes().startswith(b"#!/bin/sh\n")


class DockerfileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.text = (PACKAGING / "docker" / "Dockerfile").read_text()

    def test_what_is_copied_is_there_and_let_in(self) -> None:
        let_in = {
            line[1:] for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line.startswith("!")
        }
        copied = {
            name
            for words in re.findall(r"^COPY (?!--from)(.*) \S+$", self.text, re.MULTILINE)
            for name in words.split()
        }
        self.assertEqual(copied, let_in)
        self.assertEqual({name for name in copied if not (CHECKOUT / name).exists()}, set())

    def test_docker_build_without_arguments_knows_its_base(self) -> None:
        self.assertRegex(self.text, r"(?m)^ARG BASE=python:3\.\d+-slim$")
        self.assertEqual(re.findall(r"^FROM (\S+)", self.text, re.MULTILINE), ["$BASE", "$BASE"])

    def test_its_settings_are_settings(self) -> None:
        known = {option.environment for option in OPTIONS}
        named = set(re.findall(r"^(?:ENV| {3}) *(WSMB_\w+)=", self.text, re.MULTILINE))
        self.assertEqual(len(named), 3)
        self.assertEqual(named - known, set())

    def test_it_ends_unprivileged_and_takes_signals_itself(self) -> None:
        self.assertRegex(self.text, r"(?m)^USER [1-9]\d*:[1-9]\d*$")
        self.assertRegex(self.text, r'(?m)^ENTRYPOINT \["twistd", "--nodaemon"')
