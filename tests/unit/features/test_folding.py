"""A report of a big model shows its own layers and the parts of what it is made of."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console
from sample_reports import CNN

from ts_shape_server.cli import tables
from ts_shape_server.contract.report import Layer
from ts_shape_server.features.folding import MOST, folded
from ts_shape_server.features.known import Known
from ts_shape_server.features.page import page

PARTS = ("attention.query", "attention.key", "attention.value", "attention.output", "dense", "norm", "attention")
ENCODER = [
    *(Layer(f"bert.embeddings.{name}", "Embedding") for name in ("words", "positions", "norm")),
    Layer("bert.embeddings", "Embeddings"),
    *(Layer(f"bert.encoder.layer.{number}.{part}", "Linear") for number in range(12) for part in PARTS),
    *(Layer(f"bert.encoder.layer.{number}", "BertLayer") for number in range(12)),
    Layer("bert.encoder", "BertEncoder"),
    Layer("bert", "BertModel"),
    Layer("head.0", "Linear"),
    Layer("head.1", "ReLU"),
    Layer("head", "Sequential"),
]


def names(layers: list[Layer]) -> list[str]:
    return [item.name for item in folded(layers).shown]


def test_an_encoder_is_folded_and_the_wrapper_is_not() -> None:
    assert names(ENCODER) == [
        *("bert.embeddings.words", "bert.embeddings.positions", "bert.embeddings.norm", "bert.embeddings"),
        *("bert.encoder", "bert", "head.0", "head.1", "head"),
    ]
    assert folded(ENCODER).inside == 12 * 8


def test_a_small_net_is_shown_as_it_is() -> None:
    layers = ENCODER[-3:]
    assert (names(layers), folded(layers).inside) == (["head.0", "head.1", "head"], 0)


def test_a_class_with_very_many_layers_of_its_own_shows_the_first() -> None:
    found = folded([Layer(f"layer{number}", "Linear") for number in range(500)])
    assert (len(found.shown), found.inside) == (MOST, 500 - MOST)


def test_the_report_in_a_terminal_is_shorter_than_a_hundred_lines() -> None:
    written = io.StringIO()
    tables.show(replace(CNN, layers=tuple(ENCODER)), Console(file=written, width=200))
    assert len(written.getvalue().splitlines()) < 30
    assert "96 more inside of these" in written.getvalue()


def test_the_page_has_them_all_after_those_that_are_shown() -> None:
    text = page(Known("Net", replace(CNN, layers=tuple(ENCODER)), fresh=True))
    first, all_of_them = text.split("## All layers")
    assert "layer.11" not in first
    assert "bert.encoder.layer.11.norm" in all_of_them
