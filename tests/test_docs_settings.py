"""docs/settings.md is what the settings make of it, and no link of a document leads nowhere."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from tools.settings_table import PAGE, page
from tools.site_pages import ROOT, linked
from wsmb.config.options import OPTIONS


class SettingsPageTests(TestCase):
    def test_it_is_up_to_date(self) -> None:
        self.assertEqual(PAGE.read_text(), page(), "make docs-settings")

    def test_it_has_every_setting(self) -> None:
        rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
        self.assertEqual(len(rows), len(OPTIONS))
        for option, row in zip(OPTIONS, rows, strict=True):
            self.assertIn(option.key, row)
            self.assertIn(option.environment, row)


class LinkTests(TestCase):
    def test_every_document_is_reached_from_the_readme(self) -> None:
        there = linked(ROOT / "README.md")  # raises where one leads nowhere
        self.assertEqual([page for page in (ROOT / "docs").glob("*.md") if page not in there], [])
        self.assertEqual([page for page in (ROOT / "examples").rglob("*.md") if page not in there], [])
