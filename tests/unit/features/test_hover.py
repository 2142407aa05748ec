"""What hovers say, and that nothing stale is said as fresh."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sample_reports import CNN, FAILED, LISTS, failure, tensor

from ts_shape_server.analysis.modules import find_classes
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Location, Range
from ts_shape_server.contract.report import (
    Annotation,
    Disagreement,
    Layer,
    Report,
    ScriptAttempt,
    TorchScript,
    Variable,
    Visit,
)
from ts_shape_server.features import hover
from ts_shape_server.features.known import Known

FRESH = Known("SimpleCNN", CNN, fresh=True)


def check(text: str | None, *expected: str) -> None:
    assert text is not None
    for item in expected:
        assert item in text, text


def test_a_class_is_its_signature_symbols_and_state() -> None:
    assert hover.class_hover(FRESH) == "\n\n".join(
        [
            "```python\nSimpleCNN(x: Tensor (B, 3, H, W) float32) → Tensor (B, 10)\n```",
            "**B**: any size · **H, W**: 28 or 29",
            "31.8 K parameters (124 KiB) · script ✓ · trace ✓",
            "Ran with (2, 3, 28, 28) and (3, 3, 29, 29).",
        ]
    )


@pytest.mark.parametrize(
    ("attempt", "said"),
    [
        (ScriptAttempt(True, archive="agrees"), "script ✓"),
        (ScriptAttempt(True, archive="no-process"), "scripts, not loaded in another process"),
        (ScriptAttempt(True, archive="large"), "scripts, too large to be saved here"),
        (ScriptAttempt(True, LISTS.torchscript.script.failures[:1], archive="agrees"), "scripts, 1 trap"),
    ],
)
def test_a_script_that_no_other_process_has_loaded_is_not_called_good(attempt: ScriptAttempt, said: str) -> None:
    assert hover.script_state(attempt, "script") == said


def test_a_class_with_evidence_names_it() -> None:
    check(
        hover.class_hover(Known("Dynamic", LISTS, fresh=True)),
        "Dynamic(x: List[Tensor (L) int64]) → Tensor (2, 5)",
        "script ✗ 2 reasons · trace ✓ 1 warning",
        "- `for` over a Tensor (line 9)",
        "Built with `embedding_dim=32` (from call train.py:10).",
        "Decided by loader mock\\_dataloader() train.py:14.",
        "Stand-ins took the place of `einops`",
    )


def test_a_class_that_cannot_run_says_why() -> None:
    check(
        hover.class_hover(Known("SimpleCNN", FAILED, fresh=True)),
        "**`forward` fails for every input.**",
        "`self.conv2` takes 32 channels, 16 arrive (line 9)",
    )


SOURCE = """class SimpleCNN(Module):
    def __init__(self, width):
        self.unused = nn.Linear(1, 1)
        self.weight = nn.Parameter(torch.ones(1))
        self.width = int(width)

    def extra(self, d):
        pass
"""
ATTRIBUTES = find_classes(SourceText(SOURCE))[0].classes[0]


@pytest.mark.parametrize(
    ("known", "note"),
    [
        (Known("Net", None, running=True), "A probe of this class is under way."),
        (Known("Net", None, obstacle="Trust this workspace."), "Trust this workspace."),
        (Known("Net", CNN, running=True), "earlier version of the code; a newer probe is under way"),
        (Known("Net", CNN, obstacle="The agent is gone."), "earlier version of the code. The agent is gone."),
        (Known("Net", replace(CNN, stage="example"), fresh=True), "This is a first result; the probe goes on."),
    ],
)
def test_what_is_not_fresh_and_final_carries_a_note(known: Known, note: str) -> None:
    for text in (
        hover.class_hover(known),
        hover.forward_hover(known),
        hover.parameter_hover(known, "x"),
        hover.layer_hover(known, "conv"),
        hover.variable_hover(known, "x", 14, [14], stored=True),
    ):
        check(text, note)


def test_a_parameter_says_its_type_for_torchscript() -> None:
    check(
        hover.parameter_hover(Known("Dynamic", LISTS, fresh=True), "x"),
        "x: List[Tensor (L) int64]",
        "Taken from the annotation.",
        "it needs `List[Tensor]`",
    )


UNTIL_FAILURE = replace(
    FAILED,
    example={"x": {"tensor": [2, 3, 28, 28], "dtype": "float32"}},
    reason=replace(
        failure("shape-mismatch", "`self.unused` takes 32 channels, 16 arrive"),
        location=Location("/p/net.py", Range(15, 8, 15, 20)),
        sizes=Disagreement(32, 16, "unused", "conv"),
    ),
    layers=(Layer("conv", "Conv2d", 7, ((2, 3, 28, 28),), ((2, 16, 28, 28),), 448),),
    variables=(Variable("x", 14, tensor(2, 16, 28, 28)),),
    uses=(Variable("x", 15, tensor(2, 16, 28, 28)),),
)


def test_a_class_that_fails_is_told_up_to_the_line_that_fails() -> None:
    known = Known("Net", UNTIL_FAILURE, fresh=True)
    run = "With (2, 3, 28, 28) going in: `forward` fails for every input, in line 15."
    check(hover.variable_hover(known, "x", 14, [14], stored=True), "x: Tensor (2, 16, 28, 28) float32", run)
    check(hover.variable_hover(known, "x", 15, [15], stored=False), "x: Tensor (2, 16, 28, 28) float32", run)
    check(hover.parameter_hover(known, "x", 15), "x: Tensor (2, 16, 28, 28) float32", run)
    check(hover.layer_hover(known, "conv"), "self.conv: Conv2d (2, 3, 28, 28) → (2, 16, 28, 28)", run)
    check(hover.layer_hover(known, "unused", ATTRIBUTES), "self.unused", "takes 32 channels, 16 arrive")
    check(hover.class_hover(known), "Ran with (2, 3, 28, 28) up to the line that fails.")
    assert hover.variable_hover(known, "x", 15, [15], stored=True) is None


def test_a_layer_says_its_shapes_and_share() -> None:
    check(hover.layer_hover(FRESH, "fc"), "self.fc: Linear (B, 3136) → (B, 10)", "31.4 K parameters, 99 % of SimpleCNN")
    check(hover.layer_hover(FRESH, "unused", ATTRIBUTES), "`forward` did not call `self.unused`.")


def test_what_is_no_layer_is_not_said_to_be_left_out() -> None:
    seen = tuple(
        Annotation("SimpleCNN", "extra", name, kind, False) for name, kind in (("d", "List[int]"), ("return", "Tensor"))
    )
    report = replace(CNN, torchscript=TorchScript(annotations=seen))
    assert hover.layer_hover(FRESH, "width", ATTRIBUTES) is None
    assert hover.layer_hover(FRESH, "weight", ATTRIBUTES) is None
    assert hover.layer_hover(FRESH, "elsewhere", ATTRIBUTES) is None
    assert hover.layer_hover(FRESH, "extra", ATTRIBUTES) is None
    check(hover.layer_hover(Known("N", report, fresh=True), "extra", ATTRIBUTES), "extra(d: List[int]) → Tensor")


def test_a_container_of_layers_shows_its_parts() -> None:
    part = Layer("body.0", "Linear", 5, (("B", 3),), (("B", 4),), 16)
    check(
        hover.layer_hover(Known("N", replace(CNN, layers=(part,)), fresh=True), "body"),
        "16 parameters in 1 module",
        "| `body.0` | Linear | (B, 3) → (B, 4) |",
    )


def test_what_is_inside_of_what_is_called_is_counted_once() -> None:
    parts = (
        Layer("body.0", "Block", None, (("B", 3),), (("B", 3),), 20),
        Layer("body.0.fc", "Linear", None, (("B", 3),), (("B", 3),), 20),
        Layer("body.1", "Block", None, (("B", 3),), (("B", 3),), 20),
    )
    said = hover.layer_hover(Known("N", replace(CNN, layers=parts), fresh=True), "body")
    check(said, "40 parameters in 2 modules")
    assert "body.0.fc" not in (said or "")


CALLED = Layer(
    "norm",
    "LayerNorm",
    5,
    (("B", 8),),
    (("B", 8),),
    16,
    (Visit(20, (("B", 8),), (("B", 8),)), Visit(30, (("B", 4),), (("B", 4),))),
)
CALLS = Known("N", replace(CNN, layers=(CALLED,)), fresh=True)


def test_a_layer_tells_the_call_under_the_cursor() -> None:
    check(hover.layer_hover(CALLS, "norm", lines=[30], called=True), "self.norm: LayerNorm (B, 4) → (B, 4)\n```")
    both = "self.norm: LayerNorm (B, 8) → (B, 8)\nself.norm: LayerNorm (B, 4) → (B, 4)"
    check(hover.layer_hover(CALLS, "norm"), both)


def test_a_call_that_the_run_did_not_come_to_says_so() -> None:
    words = "The run did not come to this line"
    check(hover.layer_hover(CALLS, "norm", lines=[40], called=True), words)
    assert words not in (hover.layer_hover(CALLS, "norm", lines=[30], called=True) or "")
    assert words not in (hover.layer_hover(CALLS, "norm", lines=[40]) or "")


def test_a_local_that_a_loop_takes_from_modules_tells_what_its_calls_gave() -> None:
    layers = tuple(
        Layer(
            f"downs.{number}.{place}",
            kind,
            None,
            (("B", number),),
            (("B", number),),
            10,
            (Visit(20 + place, (("B", number),), (("B", number),)),),
        )
        for number in range(2)
        for place, kind in enumerate(("Block", "Conv2d"))
    )
    known = Known("N", replace(CNN, layers=layers), fresh=True)
    said = hover.modules_hover(known, "down", "downs", 1, [21])
    check(
        said, "down: Conv2d (B, 0) → (B, 0)\ndown: Conv2d (B, 1) → (B, 1)", "2 modules of `self.downs`, 20 parameters"
    )
    assert hover.modules_hover(known, "down", "downs", None, [21]) is None


USED = Known(
    "SimpleCNN",
    replace(
        CNN,
        variables=(Variable("x", 13, tensor("B", 16)), Variable("x", 15, tensor("B", 8))),
        uses=(
            Variable("x", 13, tensor("B", 3)),
            Variable("x", 14, tensor("B", 16)),
            Variable("x", 14, tensor("B", 8)),
        ),
    ),
    fresh=True,
)


@pytest.mark.parametrize(
    ("line", "stored", "shapes"),
    [(13, True, ["(B, 16)"]), (13, False, ["(B, 3)"]), (14, False, ["(B, 16)", "(B, 8)"]), (15, True, ["(B, 8)"])],
)
def test_a_variable_is_shown_as_it_is_at_that_line(line: int, stored: bool, shapes: list[str]) -> None:
    said = hover.variable_hover(USED, "x", line, [line], stored=stored)
    check(said, "\n".join(f"x: Tensor {shape} float32" for shape in shapes) + "\n```")
    assert ("It differs between visits: 2 shapes." in (said or "")) == (len(shapes) == 2)


def test_a_line_that_the_run_did_not_come_to_tells_nothing_of_a_variable() -> None:
    assert hover.variable_hover(USED, "x", 16, [16], stored=True) is None
    assert hover.variable_hover(USED, "x", 16, [16], stored=False) is None


def test_a_parameter_that_a_loop_assigns_anew_tells_what_comes_into_the_line() -> None:
    check(hover.parameter_hover(USED, "x", 14), "x: Tensor (B, 16) float32\nx: Tensor (B, 8) float32")
    check(hover.parameter_hover(USED, "x"), "x: Tensor (B, 3, H, W) float32")


def test_a_size_is_told_as_the_dimension_that_it_is() -> None:
    check(hover.size_hover(USED, "n", "x", 13, 0), "n: int = B", "Dimension 0 of `x`.")
    check(hover.size_hover(USED, "B", "x", 13, -2), "B: int\n```")
    assert hover.size_hover(USED, "n", "x", 14, 1) is None
    assert hover.size_hover(USED, "n", "x", 13, 2) is None


@pytest.mark.parametrize("text", ["<img src=x>", "[a](command:x)", "![a](b)", "a `b", "```\nx"])
def test_words_from_elsewhere_stay_words(text: str) -> None:
    said = hover.plain(text)
    assert not any(item in said for item in ("```", " <img", "](")) or "\\" in said
    report = Report("/p.py", "N", 1, "failed", reason=FAILED.reason and replace(FAILED.reason, message=text))
    assert "](command" not in hover.class_hover(Known("N", report, fresh=True)).replace("\\]", "")
