"""Every command of every document, and which test runs it.

`python -m tests.docs_commands` prints these tests.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)((?:    .*\n|\n(?=    ))+)")


def documents() -> list[str]:
    """All that is written for people, by path."""
    found = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("examples/**/*.md"),
        *ROOT.glob("clients/**/*.md"),
    ]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def _blocks(text: str) -> list[str]:
    """Its pieces of shell, and those that could be: fenced without a language, or indented."""
    fenced = [block for language, block in _FENCED.findall(text) if language in ("", "sh")]
    plain = _FENCED.sub("", text)
    return fenced + [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in _INDENTED.findall(plain)]


def _is_data(block: str) -> bool:
    """Settings, or JSON."""
    return bool(re.match(r"[{]|\[[\w ]+\]\n|\w+(\[\])? = ", block))


def commands(document: str) -> list[str]:
    """Its commands in their order; where a block has a prompt, the rest of it is output."""
    found = []
    for block in _blocks((ROOT / document).read_text()):
        lines = block.splitlines()
        if prompted := [line[2:] for line in lines if line.startswith("$ ")]:
            found += prompted
        elif not _is_data(block):
            found += [line for line in lines if line.strip()]
    return found


COMMANDS = "tests.integration.commands_of_documents"
RUN_BY: tuple[tuple[str, str, str], ...] = (
    # document, which test module runs it, what such commands look like (from their beginning)
    ("README.md", COMMANDS, r"export WSMB_URL|\.venv/bin/wsmb "),
    ("docs/command-line.md", COMMANDS, r".*"),
    ("docs/events.md", COMMANDS, r"wsmb receive|curl|echo whsec_"),
    ("docs/http.md", "tests.integration.test_docs_http", r"curl |\(umask"),
    ("docs/migrating.md", COMMANDS, r".*"),
    ("docs/operations.md", COMMANDS, r"wsmb (?!passwd .* chmod)|twistd "),
    ("docs/security.md", "tests.test_cli_access", r"wsmb access explain"),
    ("examples/sensors/README.md", "tests.integration.test_examples", r".*"),
    ("examples/sms-gateway/README.md", "tests.integration.test_examples", r"(?!gammu)"),
    ("examples/switch/README.md", "tests.integration.test_examples", r".*"),
)
_INSTALLS = "packages are built and installed, which takes minutes: make dist does it, and make deb-test"
_HOURS = "it takes minutes to hours; tests.integration.test_chaos tries the same in short"
_ITSELF = "it is what runs the tests, or runs until it is ended"
_DOMAIN = "wants a domain name and its certificate; tests.integration.test_proxy_examples does it here"
_OUTPUT = "no command: it shows what a log, a stream or a file has"
NOT_RUN: tuple[tuple[str, str, str], ...] = (
    # document, what such lines look like (from their beginning), why not
    ("CONTRIBUTING.md", r".*", _ITSELF),
    (
        "README.md",
        r"make run",
        "it installs, and runs until it is ended; the next lines have a broker",
    ),
    (
        "README.md",
        r"async with|  ",
        "no command: Python, as in docs/python-client.md, which is run",
    ),
    ("docs/chaos.md", r"make chaos", _HOURS),
    ("docs/design.md", r".*", "no command: a drawing"),
    (
        "docs/events.md",
        r"\[channel|keep_data|expire_after",
        "settings, which tests.test_docs_events loads",
    ),
    ("docs/http.md", r"retry:|id:|data:", _OUTPUT),
    ("docs/operations.md", r"make deb|pip install", _INSTALLS),
    ("docs/operations.md", r"apt install|WSMB_USER=wsmb", "wants root and systemd: make deb-test does it"),
    (
        "docs/operations.md",
        r"docker |wsmb passwd .* chmod",
        "wants Docker: the document says so",
    ),
    ("docs/operations.md", r"the settings stay|settings read again|needs a restart", _OUTPUT),
    (
        "docs/performance.md",
        r"make bench",
        "it takes minutes; tests.integration.test_bench tries it",
    ),
    (
        "docs/python-client.md",
        r"pip install|make wheels",
        "tests.integration.test_client_wheel does so",
    ),
    ("docs/security.md", r"# access.conf|group |allow |receivers ", "settings: tests.test_cli_access"),
    ("docs/security.md", r"forbidden by|2026-|shop connected", _OUTPUT),
    ("docs/security.md", r"export WSMB_URL=wss|wsmb ping|curl ", _DOMAIN),
    (
        "examples/browser/README.md",
        r".*",
        "run until ended; tests.integration.test_javascript tries the page",
    ),
    ("examples/sms-gateway/README.md", r"gammu", "wants a modem"),
)
OTHERS = (
    # Whose documents have code and settings instead, and what holds the tables of the documents.
    *(
        "tests.test_docs_commands",
        "tests.test_docs_settings",
        "tests.test_docs_events",
        "tests.test_docs_guarantees",
    ),
    *("tests.test_docs_security", "tests.test_cli_help", "tests.integration.test_docs_protocol"),
    *("tests.integration.test_docs_python_client", "tests.integration.test_client_wheel"),
    *("tests.integration.test_proxy_examples", "tests.integration.test_javascript"),
)


def run_by(document: str, test: str) -> list[str]:
    """The commands of the document that this test module runs."""
    patterns = [pattern for name, module, pattern in RUN_BY if (name, module) == (document, test)]
    return [line for line in commands(document) if any(re.match(pattern, line) for pattern in patterns)]


def modules() -> list[str]:
    """All test modules that run what stands in documents."""
    return list(dict.fromkeys([*(module for _, module, _ in RUN_BY), *OTHERS]))


if __name__ == "__main__":
    print(*modules())
