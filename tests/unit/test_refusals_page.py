"""The page of refusals is made from the tables, and says what they say now."""

from __future__ import annotations

from scripts import refusals_page
from ts_shape_server.agent.script import refusals
from ts_shape_server.analysis.rewrites import RULES


def test_the_page_is_not_stale() -> None:
    written = refusals_page.PAGE.read_text(encoding="utf-8")
    assert written == refusals_page.page(), "run `python -m scripts.refusals_page`"


def test_each_kind_and_each_rewrite_is_on_the_page() -> None:
    lines = refusals_page.page().splitlines()
    assert {line[4:] for line in lines if line.startswith("### ")} >= set(refusals.BY_KIND)
    for rule in RULES:
        assert any(line.startswith(f"- `{rule.rewriter.__name__}` (") for line in lines), rule.rewriter.__name__


def test_each_rewrite_says_what_it_does() -> None:
    assert [rule.rewriter.__name__ for rule in RULES if not (rule.rewriter.__doc__ or "").strip()] == []
