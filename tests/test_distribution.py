"""What is in the sdist and in the wheel: all that belongs there, and nothing else."""

from __future__ import annotations

import atexit
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support_files import project_files

CHECKOUT = Path(__file__).parent.parent
# What is of use in a clone only.
NOT_IN_SDIST = re.compile(r"\.ci/|\.gitattributes$")
LIMIT_S = 120.0


def _run(*command: str, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} failed:\n{done.stdout}")
    return done.stdout


@cache
def _built() -> Path:
    """A folder with `dist` (the sdist, and the wheel of that) and `direct` (the wheel of the checkout)."""
    scratch = tempfile.TemporaryDirectory()
    atexit.register(scratch.cleanup)
    folder = Path(scratch.name)
    # A copy: a build leaves folders behind, in which files that are gone from the project live on.
    source = folder / "source"
    for name in project_files(CHECKOUT):
        copy = source / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((CHECKOUT / name).read_bytes())
    build = (sys.executable, "-m", "build", "--no-isolation")
    _run(*build, "--outdir", str(folder / "dist"), cwd=source)
    _run(*build, "--wheel", "--outdir", str(folder / "direct"), cwd=source)
    return folder


def _find(place: str) -> Path:
    (found,) = _built().glob(place)
    return found


def _wheel(place: str) -> dict[str, bytes]:
    with zipfile.ZipFile(_find(place)) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist()}


class DistributionTests(SynchronousTestCase):
    def test_sdist_has_all_files_of_the_project(self) -> None:
        with tarfile.open(_find("dist/*.tar.gz")) as sdist:
            inside = {member.name.partition("/")[2] for member in sdist if member.isfile()}
        self.assertEqual(
            {name for name in project_files(CHECKOUT) - inside if not NOT_IN_SDIST.match(name)}, set()
        )
        made = {name for name in inside - project_files(CHECKOUT) if ".egg-info/" not in name}
        self.assertEqual(made, {"PKG-INFO"})

    def test_wheel_has_the_package_and_the_plugin_only(self) -> None:
        wanted = {name for name in project_files(CHECKOUT) if name.startswith("wsmb/")}
        wanted.add("twisted/plugins/wsmb_plugin.py")
        self.assertIn("wsmb/py.typed", wanted)
        self.assertEqual({name for name in _wheel("dist/*.whl") if ".dist-info/" not in name}, wanted)

    def test_wheel_of_the_sdist_is_the_wheel_of_the_checkout(self) -> None:
        self.assertEqual(_wheel("dist/*.whl"), _wheel("direct/*.whl"))

    def test_twine_has_nothing_to_say(self) -> None:
        built = [str(_find(place)) for place in ("dist/*.tar.gz", "dist/*.whl")]
        said = _run(sys.executable, "-m", "twine", "--no-color", "check", "--strict", *built, cwd=CHECKOUT)
        self.assertEqual(said.count("PASSED"), 2, said)
