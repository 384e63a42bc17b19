"""The documents' commands that no other test runs, by their very lines (tests/docs_commands.py).

Not among the tests that `make test` runs, for it takes half a minute: `make docs-test` runs it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

from tests import docs_commands
from tests.integration.broker_process import LIMIT_S, PASSWORD, USER, answers, free_port, poll
from tests.integration.hook_server import HookServer
from tests.integration.installed import installed
from tests.integration.keeping_case import SqliteCase
from tests.support import need
from tests.support_tls import Authority

ORIGINAL = """\
[server]
port=8888
keep_data=true
[database]
driver=sqlite
name=kept.sqlite3
prefix=
[credential]
source=file
data[]=.htpasswd
"""


class DocumentCase(SqliteCase):
    """The commands of one document, each of which has to be run."""

    document = ""
    ini = ""

    def setUp(self) -> None:
        super().setUp()
        self.left = docs_commands.run_by(self.document, __name__)
        self.here = self.folder()
        self.http_port = free_port()
        self.told = self.keeping(f"{self.ini}[http]\nlisten = tcp:{self.http_port}\n")
        self.environ = installed(self.folder(), {"HOME": str(self.here)})
        self.environ |= {"WSMB_URL": f"ws://127.0.0.1:{self.told.port}/", "WSMB_USER": USER}
        self.environ["WSMB_PASSWORD"] = PASSWORD

    def line(self, beginning: str) -> str:
        """The next line that begins so, for this broker and this folder."""
        line = next(line for line in self.left if line.startswith(beginning))
        self.left.remove(line)
        for name, here in (
            (":8888", f":{self.told.port}"),
            (":8889", f":{self.http_port}"),
            ("/srv/wsmb", "srv"),
            ("USER=shop", f"USER={USER}"),
            ("--sender shop", f"--sender {USER}"),
        ):
            line = line.replace(name, here)
        return line

    def stub(self, name: str, script: str) -> None:
        """A program that the document takes to be there."""
        file = Path(self.environ["PATH"].partition(":")[0]) / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def start(self, line: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            ["bash", "-c", line],
            cwd=self.here,
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.addCleanup(self.end, process)
        return process

    def end(self, process: subprocess.Popen[str]) -> None:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=LIMIT_S)

    def run_line(self, line: str, given: str = "") -> str:
        """What it prints; it has to end well."""
        process = self.start(line)
        out, err = process.communicate(given, timeout=LIMIT_S)
        self.assertEqual(process.returncode, 0, f"{line}\n{out}{err}")
        return out

    def first(self, line: str) -> str:
        """The first line that it prints, of what goes on until it is ended; it then ends well."""
        process = self.start(line)
        printed = process.stdout.readline()
        self.end(process)
        self.assertEqual(process.returncode, 0, line)
        return printed

    def traced(self, line: str) -> None:
        process = self.start(line)
        self.assertEqual(process.stderr.readline(), f"wsmb trace: following order-17 of {USER} on sms\n")
        self.run_line("wsmb send sms --message-id order-17 1")
        self.assertIn('"taken"', process.stdout.readline())

    def assert_serves(self, line: str) -> None:
        """The line starts a broker, in the place of the one that was there."""
        self.told.stop()
        process = self.start(line)
        poll(lambda: process.poll() is not None or answers(self.told.port), line)
        self.run_line("wsmb ping")
        self.end(process)
        self.assertEqual(process.returncode, 0)


class CommandLineTests(DocumentCase):
    document = "docs/command-line.md"

    def test_all(self) -> None:
        self.variables_and_files()
        self.items()
        self.letters()
        self.traced(self.line("wsmb trace"))
        self.original()
        self.assertEqual(self.left, [])

    def variables_and_files(self) -> None:
        self.run_line(f"{self.line('export ')}; {self.line('read ')}; wsmb ping", PASSWORD + "\n")
        self.run_line(self.line("wsmb init --directory"))
        self.run_line(self.line("(umask 077"))
        for name in ("srv/wsmb.ini", "srv/htpasswd", "broker.env", "wsmb.ini", "htpasswd"):
            self.assertTrue((self.here / name).is_file(), name)
        self.run_line(self.line("wsmb passwd"), "secret\n")
        self.assertIn("\nshop:", "\n" + (self.here / "htpasswd").read_text())
        self.assertIn("allowed", self.run_line(self.line("wsmb access explain")))
        self.assertIn("wsmb.ini: good", self.run_line(self.line("wsmb check-config")))
        (self.here / ".local/share/bash-completion/completions").mkdir(parents=True)
        self.run_line(self.line("wsmb completion"))

    def items(self) -> None:
        self.stub("sensor", "echo 21")
        self.stub("gammu", 'echo "$@"')
        send = self.line("wsmb send sms")
        self.run_line(send)
        self.run_line(self.line("sensor |"))
        one = self.line("wsmb receive sms |").replace("receive sms", "receive sms --count 1")
        self.assertEqual(self.run_line(one), 'got {"receiver":"0812","message":"hello"}\n')
        self.run_line(send)
        self.assertEqual(self.first(self.line("wsmb receive sms --exec")), "sendsms TEXT 0812 -text hello\n")
        self.assertEqual(self.run_line(self.line("wsmb ping")), "")
        self.run_line(self.line("wsmb bench") + " --messages 50")
        self.run_line(send)

    def letters(self) -> None:
        self.first("wsmb receive sms --exec 'echo no; exit 65' --dead-on 65")
        poll(lambda: self.rows("dead.sms"), "the dead letter")
        letter = self.run_line(self.line("wsmb dead-letters list")).split("\t")[0]
        replay = shlex.split(self.line("wsmb dead-letters replay"))
        self.assertEqual(self.run_line(shlex.join([*replay[:-1], letter])), f"{letter}\n")

    def original(self) -> None:
        self.here = self.folder()
        (self.here / "config.ini").write_text(ORIGINAL)
        self.run_line("wsmb passwd .htpasswd qa", "secret\n")
        self.assertNotIn("wrong:", self.run_line(self.line("wsmb import config.ini")))
        self.run_line(self.line("wsmb import config.ini"))
        self.assertTrue((self.here / "wsmb.ini").is_file())


class EventsTests(DocumentCase):
    document = "docs/events.md"
    ini = "[events]\nwaiting_items = 1\n"

    def test_all(self) -> None:
        need("curl")
        self.run_line("wsmb send sms 1 2")
        self.assertIn('"event":"waiting"', self.first(self.line("wsmb receive")))
        hooks = HookServer()
        self.addCleanup(hooks.stop)
        hooks.start()
        text = (docs_commands.ROOT / self.document).read_text()
        lines = re.findall(r'^(?:url = "|header = "|fail|silent|max-time).*$', text, re.MULTILINE)
        lines[0] = f'url = "{hooks.url}"'
        (self.here / "hook.curlrc").write_text("\n".join(lines))
        self.run_line("wsmb send other 1 2")
        self.start(self.line("wsmb receive"))
        request = hooks.wait(1)[-1]
        self.assertEqual(json.loads(request.body)["event"], "waiting")
        self.assertEqual(request.headers["content-type"], "application/json")
        stream = self.start(self.line("curl ").replace("-u qa", f"-u {USER}:{PASSWORD}"))
        self.assertIn("retry:", stream.stdout.readline())
        self.assertRegex(self.run_line(self.line("echo ")), r"^whsec_[\w+/=]{44}$")
        self.assertEqual(self.left, [])


class MigratingTests(DocumentCase):
    document = "docs/migrating.md"

    def test_all(self) -> None:
        self.run_line(self.line("wsmb passwd"), PASSWORD + "\n")
        self.environ["WSMB_USER"] = "USER"
        (self.here / "config.ini").write_text(ORIGINAL.replace("8888", f"{self.told.port}"))
        self.assert_serves(self.line("twistd").replace("/path/to/WSMessageBrocker/", ""))
        self.assertEqual(self.left, [])


class OperationsTests(DocumentCase):
    document = "docs/operations.md"

    def test_all(self) -> None:
        self.run_line(self.line("wsmb init"))
        self.run_line(self.line("wsmb passwd htpasswd shop && chmod"), PASSWORD + "\n")
        self.run_line(self.line("wsmb passwd"), PASSWORD + "\n")
        (self.here / "wsmb.pid").write_text(f"{self.told.process_id}")
        self.run_line(self.line("wsmb check-config --config wsmb.ini && kill"))
        poll(lambda: "settings read again" in self.told.log(), "the settings")
        self.assertIn("good", self.run_line(self.line("wsmb check-config")))
        self.traced(self.line("wsmb trace"))
        self.environ["WSMB_USER"] = "shop"
        self.assert_serves(self.line("twistd"))
        self.assertEqual(self.left, [])


class SecurityTests(DocumentCase):
    document = "docs/security.md"

    def test_from_outside(self) -> None:
        """The domain name is localhost's here, the authority that signs for it one of the tests."""
        need("curl")
        folder, port = self.folder(), free_port()
        authority = Authority(folder)
        key, certificate = authority.write("localhost", hosts=("localhost",))
        tls = f"ssl:{port}:privateKey={key}:certKey={certificate}:interface=127.0.0.1"
        self.broker(listen=[tls])
        self.environ["SSL_CERT_FILE"] = self.environ["CURL_CA_BUNDLE"] = str(authority.file)
        export = self.here_line("export ", port).replace("…", PASSWORD)
        self.assertRegex(self.run_line(f"{export}; {self.here_line('wsmb ping', port)}"), r"^2.*Z\n$")
        self.assertEqual(self.run_line(self.here_line("curl -s -o", port)), "426\n")
        self.assertEqual(self.run_line(self.here_line("curl -s -m", port)), "closed\n")
        self.assertEqual(self.left, [])

    def here_line(self, beginning: str, port: int) -> str:
        line = self.line(beginning)
        for name, here in (
            (f"broker.example:{self.told.port}", f"localhost:{free_port()}"),
            ("broker.example", f"localhost:{port}"),
        ):
            line = line.replace(name, here)
        return line
