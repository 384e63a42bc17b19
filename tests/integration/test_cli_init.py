"""`wsmb init`, and then exactly what it says: a broker runs, and a message goes through."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import LIMIT_S, TIED, answers, environment, free_port, poll


class InitTests(BrokerCase):
    def test_what_it_says_works_as_it_stands(self) -> None:
        here, port = self.folder(), free_port()
        environ = environment({"PATH": f"{self.programs()}:{os.environ['PATH']}"})
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

    def programs(self) -> str:
        """A folder with `wsmb` and `twistd`, as pip would install them."""
        folder = self.folder()
        programs = {
            "wsmb": "import sys\nfrom wsmb.cli.main import main\nsys.exit(main())\n",
            "twistd": "from twisted.scripts.twistd import run\nrun()\n",
        }
        for name, program in programs.items():
            file = folder / name
            file.write_text(f"#!{sys.executable}\n{program}")
            file.chmod(0o755)
        return str(folder)
