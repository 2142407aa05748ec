"""What the compiler and the tracer say becomes a kind with facts, row by row, from messages as torch writes them."""

from __future__ import annotations

from typing import Any

import pytest

from ts_shape_server.agent.script import refusals
from ts_shape_server.agent.torch_says import compiler, exporter, tracer
from ts_shape_server.agent.torch_says.rows import Row

REFUSALS = [(row, said) for row in compiler.REFUSALS for said in row.said]
MENTIONS = [(row, said) for row in compiler.MENTIONS for said in row.said]
EXPORTS = [(row, said) for row in exporter.REFUSALS for said in row.said]
WARNINGS = [(row, said) for row in tracer.WARNINGS for said in row.said]


@pytest.mark.parametrize(("row", "said"), REFUSALS, ids=lambda item: getattr(item, "kind", None) or item[:24])
def test_a_message_is_a_refusal_of_its_kind(row: Row, said: str) -> None:
    found = compiler.refusal(said)
    assert found is not None
    assert found.kind == row.kind


@pytest.mark.parametrize(("row", "said"), MENTIONS, ids=lambda item: getattr(item, "kind", None) or item[:24])
def test_a_message_mentions_what_the_row_is_for(row: Row, said: str) -> None:
    assert compiler.complaint(said, row.kind) is not None


@pytest.mark.parametrize(("row", "said"), WARNINGS, ids=lambda item: getattr(item, "kind", None) or item[:24])
def test_a_warning_of_the_tracer_has_its_kind(row: Row, said: str) -> None:
    assert tracer.warning(said) == row.kind


def test_a_message_that_nobody_knows_is_no_refusal() -> None:
    assert compiler.refusal("'Any' object is not iterable") is None
    assert tracer.warning("something new") == "trace-unrecognised"


def test_a_kind_that_no_row_has_cannot_be_asked_for() -> None:
    with pytest.raises(KeyError):
        compiler.complaint("try blocks aren't supported", "try-blocks")


def test_every_refusal_has_its_sentence() -> None:
    assert {row.kind for row in compiler.REFUSALS} == set(refusals.BY_KIND)


OVERLOADS = """\
Arguments for call are not valid.
The following variants are available:

  aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor:
  Expected a value of type 'Tensor' for argument 'other' but instead found type 'Optional[Tensor]'.

  aten::add.out(Tensor self, Tensor other) -> Tensor:
  Expected a value of type 'Tensor (inferred)' for argument 'other' but instead found type 'NoneType'.

The original call is:
  File "/home/me/net.py", line 9
    return x + 1
"""


@pytest.mark.parametrize(
    ("said", "kind", "facts"),
    [
        ("Module 'Net' has no attribute 'more' :\n  File", "attribute-missing", {"owner": "Net", "attribute": "more"}),
        (
            "Variable 'x' previously had type __torch__.net.___torch_mangle_3.Block but is now being assigned to a "
            "value of type NoneType",
            "variable-type-changed",
            {"name": "x", "first": "Block", "second": "None"},
        ),
        (
            OVERLOADS,
            "no-matching-overload",
            {
                "expected": ("Tensor", "Tensor"),
                "arguments": ("other", "other"),
                "got": ("Optional[Tensor]", "None"),
                "positions": (1, 1),
                "counts": (3, 2),
                "first": (1, 1),
                "unknown": (),
            },
        ),
        (
            "'Optional[Tensor]' object has no attribute or method 'shape'.",
            "method-unknown",
            {"type": "Optional[Tensor]", "attribute": "shape"},
        ),
        ("attribute lookup is not defined on builtin:\n  File", "attribute-lookup", {"type": "builtin"}),
        (
            "cannot call a value of type 'Tuple[__torch__.torch.nn.Linear, __torch__.torch.nn.Tanh]'",
            "not-callable",
            {"type": "Tuple[Linear, Tanh]", "modules": 1},
        ),
    ],
    ids=lambda item: item if isinstance(item, str) and " " not in item else None,
)
def test_the_facts_of_a_message(said: str, kind: str, facts: dict[str, Any]) -> None:
    found = compiler.refusal(said)
    assert found is not None
    assert (found.kind, dict(found.facts)) == (kind, facts)


def test_what_stands_at_the_places_is_not_read() -> None:
    said = 'undefined value conv:\n  File "/home/me/net.py", line 3\n    raise ValueError("Lambda aren\'t supported")\n'
    assert [item.kind for item in compiler.read(said)] == ["name-undefined"]


@pytest.mark.parametrize(("row", "said"), EXPORTS, ids=[said[:60] for _, said in EXPORTS])
def test_what_the_exporter_refuses_has_its_kind(row: Row, said: str) -> None:
    assert exporter.refusal(f"Error: {said}\n\nFor more information, run with TORCH_LOGS") == row.kind
    assert exporter.refusal("Error: something new") == "program-refused"
