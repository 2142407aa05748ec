"""What a client without markdown gets: the same words, without signs."""

from __future__ import annotations

from sample_reports import CNN, LISTS

from ts_shape_server.features import hover
from ts_shape_server.features.known import Known
from ts_shape_server.features.plain_text import as_text


def test_a_hover_is_its_words() -> None:
    text = as_text(hover.class_hover(Known("SimpleCNN", CNN, fresh=True)))
    assert text.startswith("SimpleCNN(x: Tensor (B, 3, H, W) float32) → Tensor (B, 10)\n\nB: any size · H, W: 28 or 29")
    assert not any(sign in text for sign in ("```", "**", "\\"))


def test_names_keep_their_signs() -> None:
    text = as_text(hover.class_hover(Known("Dynamic", LISTS, fresh=True)))
    assert "Decided by loader mock_dataloader() train.py:14." in text
    assert "Built with embedding_dim=32 (from call train.py:10)." in text


def test_notes_lists_and_tables_lose_their_signs() -> None:
    assert as_text("_A \\_probe\\_ is under way._") == "A _probe_ is under way."
    assert as_text("- `for` over a Tensor (line 9)") == "- for over a Tensor (line 9)"
    assert as_text("| layer | type |\n| --- | --- |\n| `a.b` | Linear |") == "layer   type\na.b   Linear"


def test_code_stays_as_it_is() -> None:
    assert as_text("```python\nx: List[Tensor] = **a** \\n\n```\n\nafter") == "x: List[Tensor] = **a** \\n\n\nafter"
