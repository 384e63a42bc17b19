"""docs/events.md says what is so: its checks of a signature are run, and its settings loaded."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.support import need
from tests.support_config import ConfigCase
from wsmb.webhooks import MOST_ATTEMPTS, MOST_EVENTS, MOST_WAITING, TIMEOUT_S, Post

DOCUMENT = (Path(__file__).parent.parent / "docs" / "events.md").read_text()
KEY = b"0123456789" * 3
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def block(language: str) -> str:
    """The first piece of code in it."""
    return DOCUMENT.partition(f"```{language}\n")[2].partition("```")[0]


def requests() -> list[tuple[bool, dict[str, str], bytes]]:
    """Whether it is genuine, its headers and its body."""
    now = int(time.time())
    post = Post([b'{"event":"waiting"}'])
    cases = []
    for is_genuine, key, age_s, body in (
        (True, KEY, 0, post.body),
        (False, KEY, 0, post.body + b" "),
        (False, KEY[1:], 0, post.body),
        (False, KEY, 400, post.body),
    ):
        headers = {name.decode(): value.decode() for name, value in post.headers(key, now - age_s).items()}
        cases.append((is_genuine, headers, body))
    return cases


class SignatureTests(ConfigCase):
    def test_in_python(self) -> None:
        scope: dict[str, Any] = {}
        exec(block("python"), scope)  # noqa: S102  # the document's own code
        for expected, headers, body in requests():
            self.assertEqual(scope["is_genuine"](headers, body, SECRET), expected)

    def test_in_php(self) -> None:
        need("php")
        for expected, headers, body in requests():
            server = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()}
            arguments = (json.dumps(server), body.decode(), SECRET)
            call = "echo json_encode(is_genuine(json_decode($argv[1], true), $argv[2], $argv[3]));"
            answer = subprocess.run(
                ["php", "-r", block("php") + call, "--", *arguments],
                capture_output=True,
                timeout=30,
                check=True,
            )
            self.assertEqual(json.loads(answer.stdout), expected)

    def test_its_numbers(self) -> None:
        for text in (
            f"1 to {MOST_EVENTS} events",
            f"within {TIMEOUT_S:.0f} s",
            f"{MOST_ATTEMPTS} times in all",
            f"up to {MOST_WAITING:,} further events",
        ):
            self.assertIn(text, " ".join(DOCUMENT.split()))

    def test_its_settings_can_be_used(self) -> None:
        pieces = re.findall(r"^\[.+\n(?:[^\n\[`].*\n)*", DOCUMENT.replace("\n    ", "\n"), re.MULTILINE)
        self.assertGreaterEqual(len(pieces), 5)
        for text in pieces:
            self.load(text, {"WSMB_WEBHOOK_SECRET": SECRET})
