"""Install, use, upgrade and remove the Debian package under a systemd of its own, in a scratch root.

`python3 try.py ROOT OLD.deb NEW.deb`, as root. ROOT, made by ./root, is copied and stays as it is.
Each step says what it saw; the first that is not as it has to be ends it.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scratch_root import AS_FIRST_USER, HERE, LIMIT_S, Scratch, poll, want

UNITS = ("wsmb.service", "wsmb.socket")
ITEMS = 40
GENERATED = {
    "usr/share/man/man1/wsmb.1.gz",
    "usr/share/bash-completion/completions/wsmb",
    "usr/share/zsh/vendor-completions/_wsmb",
    "usr/share/fish/vendor_completions.d/wsmb.fish",
}
MIN_GENERATED = 3_000
SYSTEMDS = "systemd:domain=INET:index"
TLS_ENDPOINT = "ssl:8443:privateKey=/etc/wsmb/key.pem:certKey=/etc/wsmb/cert.pem:interface=127.0.0.1"
CERTIFICATE = (
    *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "30"),
    *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"),
)


def receive(channel: str) -> tuple[str, ...]:
    """A receiver of one item, as a command."""
    return ("timeout", "120", "wsmb", "receive", channel, "--count", "1", *AS_FIRST_USER)


def install(scratch: Scratch, package: Path) -> None:
    """It is there, runs, and nobody else can read its secrets."""
    print(f"install {package.name}")
    said = scratch.run("dpkg", "--install", f"/debs/{package.name}")
    want("/etc/wsmb/first-password" in said, "it says where the first password is")
    want(scratch.run("cat", "/etc/wsmb/first-password") not in said, "but not the password")
    want(scratch.run("systemctl", "is-active", "wsmb.service"), "the broker is ready, says systemd")
    want(not scratch.run("systemd-analyze", "verify", *UNITS), "systemd accepts the units")
    print("  " + scratch.run("systemd-analyze", "security", "wsmb.service").splitlines()[-1])
    modes = scratch.run("stat", "--format=%n %a %U %G", "/etc/wsmb", "/etc/wsmb/htpasswd")
    want("/etc/wsmb 2750 root wsmb-config\n" in modes, "/etc/wsmb is closed to others")
    want("/etc/wsmb/htpasswd 640 root wsmb-config" in modes, "so are the users")
    want("Unable to" not in scratch.journal(), "its log has no complaint")
    checked = scratch.run("wsmb", "check-config", "--config", "/etc/wsmb/wsmb.ini")
    want("good; 1 users" in checked and "only systemd" in checked, "wsmb check-config accepts its settings")
    found = {path for path in GENERATED if (scratch.folder / path).stat().st_size > MIN_GENERATED}
    want(found == GENERATED, "it has a manual page, and completion for three shells")
    want("complete -" in scratch.run("wsmb", "completion", "bash"), "wsmb completion has what it needs")


def use(scratch: Scratch) -> None:
    """Send and receive; a changed user counts without a restart; a broker that hangs is started anew."""
    print("use")
    want(scratch.wsmb("ping"), "wsmb ping is answered")
    scratch.wsmb("send", "a", '"hello"')
    want(scratch.wsmb("receive", "a", "--count", "1") == '"hello"', "what was sent is received")
    scratch.run("sh", "-c", "echo second-password | wsmb passwd /etc/wsmb/htpasswd second")
    before = scratch.show("MainPID")
    scratch.run("systemctl", "reload", "wsmb.service")
    poll(lambda: "2 users read" in scratch.journal(), "the new user to be read")
    want(scratch.show("MainPID") == before, "a new user is known after a reload, by the same process")
    scratch.run("sh", "-c", "WSMB_PASSWORD=second-password timeout 60 wsmb ping --user second")
    scratch.kill_broker(signal.SIGSTOP)
    poll(lambda: scratch.show("NRestarts") == "1", "the watchdog")
    scratch.wsmb("ping")
    want(scratch.show("NRestarts") == "1", "one that hangs is ended by the watchdog and started again")


def tls(scratch: Scratch) -> None:
    """An endpoint of the broker's own beside the socket: what pyOpenSSL does is allowed by the unit."""
    print("TLS")
    folder = scratch.folder / "etc" / "wsmb"
    subprocess.run(CERTIFICATE, cwd=folder, check=True, capture_output=True)
    scratch.run("sh", "-c", "chgrp wsmb-config /etc/wsmb/*.pem && chmod 640 /etc/wsmb/*.pem")
    endpoints = f"listen[] = {SYSTEMDS}=0\nlisten[] = {TLS_ENDPOINT}"
    scratch.change_settings({f"listen = {SYSTEMDS}=0": endpoints})
    scratch.run("systemctl", "restart", "wsmb.service")
    script = "SSL_CERT_FILE=/etc/wsmb/cert.pem timeout 60 wsmb ping --url wss://127.0.0.1:8443/ --user second"
    want(scratch.run("sh", "-c", f"WSMB_PASSWORD=second-password {script}"), "wsmb ping over TLS is answered")
    scratch.change_settings({f"listen[] = {TLS_ENDPOINT}": ""})
    for name in ("key.pem", "cert.pem"):
        (folder / name).unlink()
    scratch.run("systemctl", "restart", "wsmb.service")


def http(scratch: Scratch) -> None:
    """The HTTP side, on a socket of systemd's and on a port of the broker's own."""
    print("HTTP")
    more = scratch.folder / "etc/systemd/system/wsmb.socket.d"
    more.mkdir()
    (more / "http.conf").write_text("[Socket]\nListenStream=127.0.0.1:8889\n")
    listen = f"listen[] = {SYSTEMDS}=1\nlisten[] = tcp:8890"
    scratch.change_settings({";listen = tcp:8889": listen})
    scratch.run("systemctl", "daemon-reload")
    scratch.run("systemctl", "restart", "wsmb.socket", "wsmb.service")
    for port in ("8889", "8890"):
        with scratch.network(
            sys.executable, str(HERE.parents[1] / "ask_http.py"), port, scratch.credentials()
        ) as ask:
            answers = json.loads(ask.communicate(timeout=LIMIT_S)[0])
        want(answers["exchanged"] == ["hello"], f"port {port}: an item is sent, received and acknowledged")
        want(len(answers["page"]) > 5, f"the page and its {len(answers['page'])} files are there")
        want(answers["figures"] > 35, f"{answers['figures']} figures")


def webhook(scratch: Scratch) -> None:
    """A reload is enough; and the unit lets the broker connect out, to a host by its name."""
    print("webhook")
    hook = scratch.network("timeout", "60", sys.executable, str(HERE / "hook.py"))
    try:
        poll(lambda: _line(hook) == "ready", "the hook")
        changes = {
            "receiver_events = false": "receiver_events = true",
            ";webhook[] = https://hooks.example/wsmb": "webhook[] = http://localhost:9000/",
            ";webhook_secret = whsec_...": "webhook_secret = whsec_dGhlIHNlY3JldCBvZiBhIHRyeSBvbmx5IQ==",
        }
        scratch.change_settings(changes)
        scratch.run("systemctl", "reload", "wsmb.service")
        poll(lambda: "settings read again; changed: [events]" in scratch.journal(), "the settings to be read")
        receiver = subprocess.Popen(scratch.command(*receive("hooked")), stdout=subprocess.DEVNULL)
        want(_line(hook) == "receiver-came hooked", "a receiver that comes is told to a webhook")
        scratch.wsmb("send", "hooked", "1")
        receiver.wait(LIMIT_S)
    finally:
        hook.terminate()
        hook.wait(LIMIT_S)
    scratch.change_settings({new: old for old, new in changes.items()})
    scratch.run("systemctl", "reload", "wsmb.service")


def _line(process: subprocess.Popen[str]) -> str:
    """The next that it says."""
    return process.stdout.readline().strip() if process.stdout else ""


def upgrade(scratch: Scratch, package: Path) -> None:
    """Clients come all the time, and something waits."""
    print(f"upgrade to {package.name}")
    items = [str(number) for number in range(ITEMS)]
    scratch.wsmb("send", "kept", *items)
    before = scratch.show("MainPID")
    # One that stays, so that the old broker has a connection to end.
    receiver = subprocess.Popen(scratch.command(*receive("stays")), stdout=subprocess.PIPE, text=True)
    poll(lambda: "wsmb connected" in scratch.journal().rpartition("Started wsmb.service")[2], "the receiver")
    arrivals = (sys.executable, str(HERE / "arrivals.py"), scratch.credentials())
    with scratch.network(*arrivals) as web_sockets, scratch.network(*arrivals, "arrived") as requests:
        time.sleep(1)
        scratch.run("dpkg", "--install", f"/debs/{package.name}")
        time.sleep(1)
        said = [json.loads(one.communicate(timeout=LIMIT_S)[0]) for one in (web_sockets, requests)]
    scratch.wsmb("send", "stays", '"after"')
    want(receiver.communicate(timeout=LIMIT_S)[0] == '"after"\n', "who was connected has come back")
    want(scratch.show("MainPID") != before, "another process serves")
    print(f"  who came meanwhile: {said}")
    want(set(said[0]["clients"]) == {"101"}, "no client was refused or reset")
    want(set(said[1]["clients"]) == {"200"}, "nor over HTTP")
    count = said[1]["clients"]["200"]
    arrived = scratch.wsmb("receive", "arrived", "--count", str(count)).splitlines()
    want(sorted(map(int, arrived)) == list(range(count)), f"all {count} items that they sent are there, once")
    received = scratch.wsmb("receive", "kept", "--count", str(ITEMS)).splitlines()
    want(received == items, f"all {ITEMS} items that waited are there, in their order")


def crash(scratch: Scratch) -> None:
    """It is started again."""
    print("kill -9")
    scratch.wsmb("send", "crash", '"before"')
    starts = int(scratch.show("NRestarts"))
    scratch.kill_broker(signal.SIGKILL)
    received = scratch.wsmb("receive", "crash", "--count", "1")
    want(received == '"before"', "who comes next waits, and gets what was kept")
    want(int(scratch.show("NRestarts")) == starts + 1, "it was started again")


def remove(scratch: Scratch, before: set[str]) -> None:
    """First the programs, then all."""
    print("remove and purge")
    shutil.rmtree(scratch.folder / "etc/systemd/system/wsmb.socket.d")
    scratch.run("dpkg", "--remove", "wsmb")
    states = scratch.run("systemctl", "is-active", *UNITS, check=False)
    want(states == "inactive\ninactive", "nothing of it runs")
    left = {path for path in scratch.files() - before if not path.startswith(("/etc/wsmb", "/etc/systemd"))}
    want(left <= {"/var/lib/wsmb"}, "its configuration and what it kept are left")
    scratch.run("dpkg", "--purge", "wsmb")
    want(scratch.files() == before, "after the purge there is what there was before the installation")
    want("wsmb" not in scratch.run("cat", "/etc/group", "/etc/passwd"), "no group is left")
    want(scratch.run("ls", "/var/lib/private") == "", "no state is left")


def main(root: Path, old: Path, new: Path) -> None:
    """See above."""
    with tempfile.TemporaryDirectory(prefix="wsmb-scratch-") as folder:
        scratch = Scratch(root, Path(folder), [old, new])
        try:
            before = scratch.files()
            install(scratch, old)
            use(scratch)
            tls(scratch)
            http(scratch)
            webhook(scratch)
            upgrade(scratch, new)
            crash(scratch)
            remove(scratch, before)
        except AssertionError:
            print(scratch.run("journalctl", "--no-pager", "--lines=30", check=False), file=sys.stderr)
            raise
        finally:
            scratch.end()


if __name__ == "__main__":
    main(*(Path(argument).resolve() for argument in sys.argv[1:]))
