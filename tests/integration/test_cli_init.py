"""`wsmb init`, and then exactly what it says: a broker runs, and a message goes through."""

from __future__ import annotations

import shlex
import subprocess

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import LIMIT_S, TIED, answers, free_port, poll
from tests.integration.installed import installed


class InitTests(BrokerCase):
    def test_what_it_says_works_as_it_stands(self) -> None:
        here, port = self.folder(), free_port()
        environ = installed(self.folder())
        done = subprocess.run(
            ["wsmb", "init", "--port", str(port)],
            cwd=here,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        said = [line.strip() for line in done.stdout.splitlines() if line.startswith(("  ", "export "))]
        broker, *rest = said
        self.assertEqual(broker, "twistd -n wsmb --config wsmb.ini")
        with (here / "log").open("wb") as log:
            process = subprocess.Popen(
                [*TIED, *shlex.split(broker)], cwd=here, env=environ, stdout=log, stderr=log
            )
        self.addCleanup(process.wait, LIMIT_S)
        self.addCleanup(process.terminate)
        poll(lambda: answers(port), "the broker")
        result = subprocess.run(
            ["sh", "-ec", "\n".join(rest)],
            cwd=here,
            env=environ,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        time_stamp, item = result.stdout.splitlines()
        self.assertRegex(time_stamp, r"^\d{4}-")
        self.assertEqual(item, '{"receiver":"0812","message":"hello"}')
