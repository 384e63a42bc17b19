"""Tests for tests.support_files: the same files, however the project has come here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support import need
from tests.support_files import project_files

OURS = {".gitignore", "a.py", "b/c d.py", "b/build", "b/run/e"}
OTHERS = (
    *("build/x", "b/__pycache__/x.pyc", "x.pyc", "b/dropin.cache", "w.egg-info/PKG-INFO", "PKG-INFO"),
    *("twistd.log.1", "run/x"),
)
IGNORE = "# made\n/build/\n/run/\n\n*.egg-info/\n__pycache__/\n*.py[co]\n/twistd.log*\ndropin.cache\n"


class ProjectFilesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        for name in (*OURS, *OTHERS):
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(IGNORE if name == ".gitignore" else "x")

    def git(self, *words: str) -> None:
        subprocess.run(("git", *words), cwd=self.folder, check=True, capture_output=True)

    def test_a_copy_without_git(self) -> None:
        self.assertEqual(project_files(self.folder), OURS)

    def test_a_clone(self) -> None:
        need("git")
        self.git("init")
        self.git("add", ".")
        self.git("rm", "--cached", "--quiet", "PKG-INFO")
        (self.folder / "not of the project").touch()
        self.assertEqual(project_files(self.folder), OURS)

    def test_a_clone_that_belongs_to_somebody_else(self) -> None:
        """git wants to be told that it is meant: `dubious ownership`."""
        need("git")
        self.git("init")
        self.git("add", "a.py")
        os.environ["GIT_TEST_ASSUME_DIFFERENT_OWNER"] = "1"
        self.addCleanup(os.environ.pop, "GIT_TEST_ASSUME_DIFFERENT_OWNER")
        self.assertEqual(project_files(self.folder), {"a.py"})

    def test_a_clone_that_git_cannot_read(self) -> None:
        (self.folder / ".git").write_text("gitdir: /nowhere\n")
        self.assertEqual(project_files(self.folder), OURS)
