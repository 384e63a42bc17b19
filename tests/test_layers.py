"""The layers of docs/design.md: arrows point one way, and pure files stay pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

PACKAGE = Path(__file__).parent.parent / "wsmb"

# From the top down; a module may import what stands in a lower layer, and its own package.
LAYERS = (
    {"cli", "service"},
    {"broker_service"},
    {"http"},
    {"factory", "bench", "reload", "events", "webhooks"},
    {"posting"},
    {"protocol", "store", "config", "client"},
    {"reading", "outbox", "session", "topic_session"},
    {"pausing", "receiving"},
    {"opening"},
    {"arriving"},
    {"credentials", "identity", "door", "guard", "listening"},
    {"tls"},
    {"auth", "handshake", "answers"},
    {"user_files", "broker"},
    {"channel_table"},
    {"following"},
    {"reserved"},
    {"htpasswd", "channels"},
    {"held"},
    {"backlog", "unproved"},
    {"outstanding", "surroundings"},
    {"watches", "traces"},
    {"forms", "receiver", "receivers", "message_ids", "intake"},
    {"acks", "fanout", "lingering", "texts"},
    {"deliveries", "pulse", "replies"},
    {"senders", "unattended", "wire"},
    {"proxy_header", "rates", "throttle", "topic_query"},
    {"interfaces"},
    {"stock"},
    {"log_bounds"},
    {"settings"},
    {"access"},
    {"addresses", "cores", "errors", "fair_queue", "figures"},
    {
        "frames",
        "lean",
        "log_json",
        "notify",
        "open_files",
        "periodic",
        "regular_file",
        "stamps",
        "time_stamp",
    },
)
PURE = {
    "errors",
    "credentials",
    "access",
    "wire",
    "replies",
    "frames",
    "deliveries",
    "pulse",
    "acks",
    "receiver",
    "receiving",
    "message_ids",
    "intake",
    "held",
    "outstanding",
    "surroundings",
    "unproved",
    "watches",
    "figures",
    "http.visitor",
    "http.receiving",
    "http.speeds",
    "answers",
    "receivers",
    "backlog",
    "fanout",
    "channels",
    "channel_table",
    "broker",
    "events",
    "reserved",
    "senders",
    "traces",
    "unattended",
    "following",
    "session",
    "topic_session",
    "topic_query",
    "texts",
    "lingering",
    "forms",
    "interfaces",
    "settings",
    "stock",
    "addresses",
    "door",
    "fair_queue",
    "handshake",
    "proxy_header",
    "rates",
    "throttle",
    "htpasswd",
    "user_files",
    "regular_file",
    "stamps",
    "config",
    "store.memory",
    "client.commands",
    "client.core",
    "client.errors",
    "client.exchange",
    "client.incoming",
    "client.outgoing",
    "client.sends",
    "client.silence",
    "client.target",
    "cli.item_environment",
    "cli.jobs",
    "cli.work",
    "bench.load",
    "bench.marks",
    "bench.dialect",
    "bench.results",
}
CLOCKS = {"time", "datetime"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        if name != "__init__":
            yield name, ast.parse(path.read_text())


def imports(tree: ast.Module) -> Iterator[str]:
    """The modules that are imported when the program runs, as against when types are checked."""
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            tree.body.remove(node)
            break
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield from (f"{module}.{alias.name}" if module == "wsmb" else module for alias in node.names)


def top(module: str) -> str:
    return module.partition(".")[0]


def layer(module: str) -> int:
    return next(number for number, names in enumerate(LAYERS) if top(module) in names)


class LayerTests(SynchronousTestCase):
    def test_every_module_has_its_layer(self) -> None:
        self.assertEqual({top(name) for name, _ in modules()}, set().union(*LAYERS))

    def test_arrows_point_down(self) -> None:
        for name, tree in modules():
            for imported in imports(tree):
                inside = imported.removeprefix("wsmb.")
                if inside == imported or inside.startswith("__") or top(inside) == top(name):
                    continue
                self.assertLess(layer(name), layer(inside), f"wsmb.{name} imports wsmb.{inside}")

    def test_pure_modules_import_no_twisted_and_read_no_clock(self) -> None:
        for name, tree in modules():
            if name in PURE or top(name) in PURE:
                for imported in imports(tree):
                    self.assertNotIn(top(imported), {"twisted", "autobahn", "txaio"} | CLOCKS, name)

    def test_the_plugin_imports_nothing_of_wsmb(self) -> None:
        plugin = PACKAGE.parent / "twisted" / "plugins" / "wsmb_plugin.py"
        self.assertEqual(list(imports(ast.parse(plugin.read_text()))), ["twisted.application.service"])
