"""Start, use, stop and remove a container of the image, with whatever `./engine` is.

`python3 try.py IMAGE`. The container has no network: what is asked of the broker is asked from inside.
Each step says what it saw; the first that is not as it has to be ends it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAME = "wsmb-try"
LIMIT_S = 60.0
MOST_STOP_S = 9.0
"""What docs/operations.md says."""
HEALTH = ("wsmb-health",)
USER, PASSWORD = "shop", "try-it"
ITEMS = [str(number) for number in range(40)]
# As closed as a container can be.
HARDENED = ("--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
SETTINGS = ("WSMB_KEEP_DATA=always", "WSMB_HTTP_LISTEN=tcp:8889", "HEALTH_PORT=8889")
WRITABLE = "find / -xdev -writable -not -type l 2>/dev/null"
EVERYBODYS = ("/proc", "/sys", "/dev", "/tmp", "/var/tmp", "/run", "/var/lock")


def run(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """What the engine does with `words`, whether it fails or not."""
    engine = str(HERE / "engine")
    return subprocess.run(
        [engine, *words], input=text, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


def must(*words: str, text: str = "") -> str:
    """What the engine says to `words`. AssertionError if it fails, with both outputs."""
    done = run(*words, text=text)
    if done.returncode:
        raise AssertionError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def want(is_so: object, what: str) -> None:
    """Say it if it is so, and end if it is not."""
    if not is_so:
        raise AssertionError(f"not so: {what}")
    print(f"  {what}", flush=True)


def wsmb(*words: str, options: tuple[str, ...] = ()) -> str:
    """The `wsmb` command in the container."""
    environment = (f"--env=WSMB_USER={USER}", f"--env=WSMB_PASSWORD={PASSWORD}")
    return must("exec", *options, *environment, NAME, "timeout", "30", "wsmb", *words)


def health(*options: str) -> subprocess.CompletedProcess[str]:
    """The command of the image's HEALTHCHECK."""
    return run("exec", *options, NAME, *HEALTH)


def log() -> str:
    """What the broker has said."""
    done = run("logs", NAME)
    return done.stdout + done.stderr


def poll(found: Callable[[], bool], what: str) -> None:
    """Return as soon as `found` does."""
    deadline = time.monotonic() + LIMIT_S
    while not found():
        if time.monotonic() > deadline:
            raise AssertionError(f"still waiting for {what}")
        time.sleep(0.2)


def look(image: str) -> None:
    """What the image says of itself."""
    print(f"image {image}")
    (seen,) = json.loads(must("image", "inspect", image))
    config = seen["Config"]
    want(config["User"] == "8888:8888", "it runs as user 8888")
    check = config.get("Healthcheck") or seen.get("Healthcheck") or {}
    want(check.get("Test") == ["CMD", *HEALTH], "it has a health check")
    want(list(config["Volumes"]) == ["/var/lib/wsmb"], "what waits is in a volume")
    inside = ("run", "--rm", "--network=none", "--entrypoint=sh", image, "-c")
    own = {
        path for path in must(*inside, f"{WRITABLE} || true").splitlines() if not path.startswith(EVERYBODYS)
    }
    want(own == {"/var/lib/wsmb"}, "it can write there only")
    size_kb = int(must(*inside, "du -sk /opt/wsmb").split()[0])
    print(f"  {seen['Size'] / 1e6:.0f} MB, of which {size_kb / 1e3:.0f} MB are wsmb and what it needs")


def start(image: str, users: Path) -> float:
    """Start the container; returns after how many seconds it is healthy."""
    options = (*HARDENED, *(f"--env={one}" for one in SETTINGS))
    volumes = (f"--volume={NAME}:/var/lib/wsmb", f"--volume={users}:/etc/wsmb/htpasswd:ro")
    begin = time.monotonic()
    must("run", "--detach", "--stop-timeout=30", f"--name={NAME}", *options, *volumes, image)
    poll(lambda: not health().returncode, "it to be healthy")
    return time.monotonic() - begin


def use(credentials: str) -> None:
    """Everything in it is there and works."""
    print("use")
    want(must("exec", NAME, "id", "-u") == "8888", "unprivileged")
    first = must("exec", NAME, "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline; grep -E '^CapEff' /proc/1/status")
    want(first.startswith("/opt/wsmb/bin/python"), "the broker is process 1")
    want(first.endswith("0000000000000000"), "without any capability")
    want(wsmb("ping"), "wsmb ping is answered")
    script = (HERE.parent / "ask_http.py").read_text()
    answers = json.loads(must("exec", "--interactive", NAME, "python", "-", "8889", credentials, text=script))
    want(answers["exchanged"] == ["hello"], "over HTTP an item is sent, received and acknowledged")
    want(
        len(answers["page"]) > 5,
        f"the page and its {len(answers['page'])} files, {answers['figures']} figures",
    )
    wsmb("send", "kept", *ITEMS)


def check_health() -> None:
    """The health check notices a broker that hangs, and a port where nobody listens."""
    print("health")
    want(not health().returncode, "the health check is content")
    wrong = health("--env=HEALTH_PORT=8890")
    want(wrong.returncode and "refused" in wrong.stderr, "it is not where nobody listens")
    (seen,) = json.loads(must("container", "inspect", NAME))
    os.kill(seen["State"]["Pid"], signal.SIGSTOP)
    want(health().returncode, "nor with a broker that hangs")
    os.kill(seen["State"]["Pid"], signal.SIGCONT)
    want(not health().returncode, "but when it goes on")


def stop() -> None:
    """SIGTERM, which process 1 gets only if it asks for it; somebody is connected."""
    wsmb("receive", "stop", options=("--detach",))
    poll(lambda: log().count(" connected from ") > log().count(" left ("), "the receiver")
    begin = time.monotonic()
    must("stop", "--time=30", NAME)
    took_s = time.monotonic() - begin
    (seen,) = json.loads(must("container", "inspect", NAME))
    want(seen["State"]["ExitCode"] == 0 and "wsmb has stopped" in log(), "it stops by itself")
    want(took_s < MOST_STOP_S, f"within {took_s:.1f} s")
    want(health().returncode, "and is not healthy any more")
    want("Unable to" not in log(), "its log has no complaint")
    must("rm", NAME)


def forget() -> None:
    """Nothing of an earlier try is left, nor of this one."""
    run("rm", "--force", NAME)
    run("volume", "rm", "--force", NAME)


def main(image: str) -> None:
    """See above."""
    with tempfile.TemporaryDirectory(prefix="wsmb-docker-") as folder:
        forget()
        look(image)
        # Whoever has nothing but the image can make its users with it.
        make = (
            "--rm",
            "--interactive",
            "--network=none",
            "--user=0",
            f"--volume={folder}:/srv",
            "--entrypoint=wsmb",
        )
        must("run", *make, image, "passwd", "/srv/htpasswd", USER, text=PASSWORD)
        users = Path(folder, "htpasswd")
        users.chmod(0o644)
        Path(folder).chmod(0o755)
        try:
            print(f"start\n  healthy after {start(image, users):.1f} s")
            use(f"{USER}:{PASSWORD}")
            check_health()
            print("stop")
            stop()
            print("start again, in another container")
            start(image, users)
            received = wsmb("receive", "kept", "--count", str(len(ITEMS))).splitlines()
            want(received == ITEMS, f"all {len(ITEMS)} items that waited are there, in their order")
            stop()
        except AssertionError:
            print(log()[-3000:], file=sys.stderr)
            raise
        finally:
            with suppress(subprocess.TimeoutExpired):
                forget()


if __name__ == "__main__":
    main(sys.argv[1])
