"""Every command of every document, and which test runs it.

`python -m tests.docs_commands` prints these tests.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHELL = ("", "sh")
"""What stands behind ``` where there are commands."""
OTHER_LANGUAGES = ("http", "ini", "js", "output", "php", "python", "text", "wsmb")
_MADE = re.compile(r"(\..*|_trial_temp.*|build|dist|run|node_modules)")
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)((?:    .*\n|\n(?=    ))+)")


def documents() -> list[str]:
    """All that is written for people, by path."""
    found = [path.relative_to(ROOT) for suffix in ("*.md", "README*") for path in ROOT.rglob(suffix)]
    return sorted({str(path) for path in found if not any(map(_MADE.fullmatch, path.parts[:-1]))})


def languages(document: str) -> set[str]:
    """What stands behind ``` there."""
    return {language for language, _ in _FENCED.findall(_text(document))}


def overlooked(document: str) -> list[str]:
    """Lines that are set as commands are, but in a way that `commands` does not read."""
    rest = _INDENTED.sub("", _FENCED.sub("", _text(document)))
    return re.findall(r"^(?:\t.*|[\s>*-]*\$ .*|[\s>*-]*(?:```|~~~).*)$", rest, re.MULTILINE)


def _text(document: str) -> str:
    return (ROOT / document).read_text()


def _blocks(text: str) -> list[str]:
    """Its pieces of shell, and those that could be: fenced without a language, or indented."""
    fenced = [block for language, block in _FENCED.findall(text) if language in SHELL]
    plain = _FENCED.sub("", text)
    return fenced + [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in _INDENTED.findall(plain)]


def _is_data(block: str) -> bool:
    """Settings, or JSON."""
    return bool(re.match(r"[{]|\[[\w $]+\]\n|\w+(\[\])? = ", block))


def commands(document: str) -> list[str]:
    """Its commands in their order; where a block has a prompt, the rest of it is output."""
    found = []
    for block in _blocks(_text(document)):
        lines = block.splitlines()
        if prompted := [line[2:] for line in lines if line.startswith("$ ")]:
            found += prompted
        elif not _is_data(block):
            found += [line for line in lines if line.strip()]
    return found


COMMANDS = "tests.integration.commands_of_documents"
MAKES = "tests.integration.makes_of_documents"
PACKAGES = "tests.integration.packages_of_documents"
EXAMPLES = "tests.integration.test_examples"
RUN_BY: tuple[tuple[str, str, str], ...] = (
    # document, which test module runs it, what such commands look like (from their beginning). Where all of a
    # document are a module's, that test fails for one that it does not know.
    ("CONTRIBUTING.md", MAKES, r"PYTHONPATH"),
    ("CONTRIBUTING.md", PACKAGES, r"make run"),
    ("README.md", PACKAGES, r".*"),
    ("docs/chaos.md", MAKES, r"make chaos(?! FOR=30m)"),
    ("docs/command-line.md", COMMANDS, r".*"),
    ("docs/events.md", COMMANDS, r".*"),
    ("docs/http.md", "tests.integration.test_docs_http", r"curl |\(umask"),
    ("docs/migrating.md", COMMANDS, r".*"),
    ("docs/operations.md", COMMANDS, r"wsmb |twistd "),
    ("docs/operations.md", PACKAGES, r"pip install|make deb|apt install|WSMB_USER=wsmb"),
    ("docs/performance.md", MAKES, r"make bench ROUNDS"),
    ("docs/python-client.md", PACKAGES, r".*"),
    ("docs/security.md", "tests.test_cli_access", r"wsmb access explain"),
    ("docs/security.md", COMMANDS, r"export |wsmb ping|curl "),
    ("examples/browser/README.md", PACKAGES, r".*"),
    ("examples/sensors/README.md", EXAMPLES, r"\. \./broker|wsmb receive readings|python3 sensor.py"),
    (
        "examples/sms-gateway/README.md",
        EXAMPLES,
        r"\. \./broker|wsmb receive sms --exec|wsmb dead-letters list",
    ),
    ("examples/sms-gateway/README.md", EXAMPLES, r"php send.php (0812|nobody)|python3 send.py|gammu"),
    ("examples/switch/README.md", EXAMPLES, r"\. \./broker|wsmb receive switch|./set.sh on"),
)
NOT_RUN: tuple[tuple[str, str, str], ...] = (
    # document, what such lines look like (from their beginning), why not
    ("CONTRIBUTING.md", r"make test", "it is what runs the tests; CI runs it"),
    ("docs/chaos.md", r"make chaos FOR=30m", "it is the line before it, for longer"),
    ("docs/operations.md", r"docker |make docker-test", "wants Docker or Podman: make docker-test does it"),
    (
        "docs/performance.md",
        r"make bench  ",
        "it takes twelve minutes, as the document says; one case of it is run",
    ),
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
