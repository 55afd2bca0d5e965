"""The site builds strictly and fetches nothing; links and paths in all pages lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, Page

FETCHES = re.compile(
    r'<(?:script|img|iframe)[^>]+src="(?:https?:)?//|<link[^>]+rel="(?:stylesheet|icon|preconnect)"'
    r'[^>]+href="(?:https?:)?//|@import|url\((?:https?:)?//'
)
FOLDERS = "slurmkit|templates|jobs|tests|docs|benchmarks|.ci"


def test_the_site_builds_and_fetches_nothing(tmp_path: Path) -> None:
    # Not --quiet: it hides warnings from --strict as well.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    ran = subprocess.run(
        [*command, "--site-dir", tmp_path / "site"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    built = list((tmp_path / "site").rglob("*.html"))
    assert {path.name for path in built} >= {path.with_suffix(".html").name for path in PAGES[1:]}
    assert not [path.name for path in built if FETCHES.search(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_between_files_lead_somewhere(name: str) -> None:
    # Those of docs/ are checked by mkdocs.
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", Page(ROOT / name).prose)
    assert not [link for link in links if not (ROOT / link).exists()]


@pytest.mark.parametrize("name", [Page(path).name for path in PAGES])
def test_every_path_that_a_page_names_exists(name: str) -> None:
    named = re.findall(rf"`((?:{FOLDERS})/[\w./*-]*)`", Page(ROOT / name).prose)
    assert not [path for path in named if not list(ROOT.glob(path.rstrip("/")))]
