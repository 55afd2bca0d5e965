"""The pages that the site's hook makes of the rules and the causes."""

from __future__ import annotations

import re

from slurmkit.check.doctor.cause import causes
from slurmkit.check.lint.rule import rules
from tests.docs.rule_pages import pages


def test_each_rule_has_a_page_and_a_line_in_the_list() -> None:
    made = pages()
    for code, rule in rules().items():
        page = made[f"rules/{code}.md"]
        assert page.startswith(f"# {code}: ")
        assert f"`# slurmkit: ignore={code}`" in page
        assert rule.bad.splitlines()[-1].rstrip() in page
        assert f"[{code}](rules/{code}.md)" in made["rules.md"]


def test_each_cause_has_its_words() -> None:
    page = pages()["causes.md"]
    told = [cause for cause in causes() if cause.meaning]
    assert told
    assert re.findall(r"^## (\w+): ", page, re.MULTILINE) == [cause.code for cause in told]


def test_what_markdown_would_take_for_its_own_is_kept() -> None:
    page = pages()["rules/SK103.md"]
    assert page.startswith("# SK103: \\#SBATCH line behind the first command\n")
    assert "*" not in re.sub(r"\\\*|\*\*|`[^`]*`|```.*?```", "", page, flags=re.DOTALL)
