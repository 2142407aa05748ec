"""Which rewrites are worth a trial alone, what a trial makes of them, and how a fix outlives edits elsewhere."""

from __future__ import annotations

from dataclasses import replace

from sample_reports import CNN, FAILED, LISTS, failure

from ts_shape_server.analysis.rewrites import LEAVES, PLAIN
from ts_shape_server.analysis.rewrites.extraction import CANNOT_BE_SAVED
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range, TextEdit
from ts_shape_server.contract.report import Annotation, Report, ScriptAttempt, TorchScript
from ts_shape_server.features import actions
from ts_shape_server.features.diagnostics import Finding
from ts_shape_server.repair import Change, Repaired

ATTRIBUTE = Annotation("Dynamic", "", "state", "Optional[Tensor]", True)
TEXT = """from typing import List, Optional
from torch import Tensor, nn


class Dynamic(nn.Module):
    def __init__(self):
        super().__init__()
        self.state = None

    def forward(self, x):
        return x
"""
TWO = replace(
    LISTS,
    torchscript=replace(LISTS.torchscript, annotations=(*LISTS.torchscript.annotations, ATTRIBUTE)),
)
AFTER = TEXT.replace("forward(self, x)", "forward(self, x: List[Tensor])")


def check(report: Report, *titles: str) -> None:
    assert [item.title for item in actions.candidates(report, TEXT)] == list(titles)


def fix_of(after: str = AFTER, left: TorchScript | None = None, *titles: str, depth: int = PLAIN) -> actions.Fix:
    state = TorchScript(ScriptAttempt(True), ScriptAttempt(True)) if left is None else left
    changes = tuple(Change("annotations", title) for title in titles or ("Annotate `x` as List[Tensor]",))
    made = Repaired(after, state, not state.script.failures, changes, depth)
    found = actions.repaired(made, LISTS, TEXT)
    assert found is not None
    return found


def about(code: str, kind: str, class_name: str = "Dynamic", **facts: str) -> Finding:
    """A finding of which the words say nothing."""
    place = Range(1, 0, 1, 1)
    return Finding("/project/net.py", place, code, "warning", "", class_name, kind=kind, facts=tuple(facts.items()))


def test_what_torchscript_does_not_need_is_no_fix() -> None:
    check(CNN)
    check(replace(FAILED, torchscript=LISTS.torchscript))


def test_each_needed_annotation_is_tried_alone() -> None:
    check(LISTS, "Annotate `x` as List[Tensor]")
    check(TWO, "Annotate `x` as List[Tensor]", "Annotate `self.state` as Optional[Tensor]")


def test_a_repair_that_changes_nothing_is_no_fix() -> None:
    assert actions.repaired(Repaired(TEXT, TorchScript(), False), LISTS, TEXT) is None


def test_a_repair_says_what_it_resolves() -> None:
    left = TorchScript(ScriptAttempt(True, (failure("script-trap", "`mask` is NoneType"),)), ScriptAttempt(True))
    fix = fix_of(AFTER, left)
    assert fix.preferred
    assert actions.helps(fix, about("script-error", "`for` over a Tensor"))
    assert not actions.helps(fix, about("script-trap", "`mask` is NoneType"))
    assert not actions.helps(fix, about("script-error", "`for` over a Tensor", "Other"))
    assert actions.helps(fix, about("unannotated-input", "parameter-annotation", parameter="x"))
    assert not actions.helps(fix, about("unannotated-input", "parameter-annotation", parameter="y"))


def test_two_fixes_are_one_where_they_come_to_the_same_text() -> None:
    whole = fix_of()
    (alone,) = [actions.verified(item, LISTS, TEXT, TorchScript()) for item in actions.candidates(LISTS, TEXT)]
    assert alone.edits != whole.edits
    assert alone.identity == whole.identity == replace(whole, title="other words").identity
    assert fix_of(AFTER + "# more\n").identity != whole.identity


def test_a_repair_of_several_changes_names_the_class_and_their_number() -> None:
    assert fix_of(AFTER, None, "one", "two").title == "Repair Dynamic for TorchScript, 2 changes"
    partly = TorchScript(ScriptAttempt(False, (failure("script-error", "`other`"),)), ScriptAttempt(True))
    assert fix_of(AFTER, partly, "one", "two").title == "Repair what can be in Dynamic, 2 changes"


def test_the_repair_of_the_class_comes_first() -> None:
    alone = [actions.verified(item, TWO, TEXT, TorchScript()) for item in actions.candidates(TWO, TEXT)]
    assert [item.preferred for item in actions.ordered([*alone, fix_of()])] == [True, False, False]


def moved(text: str) -> str | None:
    edits = actions.edits_for(fix_of(), text)
    return None if edits is None else SourceText(text).apply(edits)


def test_a_fix_outlives_edits_elsewhere() -> None:
    assert moved(TEXT) == AFTER
    assert moved("# a comment\n\n" + TEXT) == "# a comment\n\n" + AFTER
    assert moved(TEXT + "\nprint()\n") == AFTER + "\nprint()\n"


def test_a_fix_of_whole_lines_outlives_an_edit_right_behind_them() -> None:
    whole = actions.all_of("a\nb\nc\n", [TextEdit(Range(2, 0, 3, 0), "B\n")])
    edits = actions.edits_for(whole, "a\nb\nnew\nc\n")
    assert edits is not None
    assert SourceText("a\nb\nnew\nc\n").apply(edits) == "a\nB\nnew\nc\n"
    assert actions.edits_for(whole, "a\nbb\nc\n") is None


def test_a_fix_is_gone_once_its_own_line_changed() -> None:
    assert moved(TEXT.replace("forward(self, x)", "forward(self, x, y)")) is None
    assert moved("") is None


def test_a_repair_that_leaves_torchscript_says_before_it_is_taken_that_it_cannot_be_saved() -> None:
    leaves = f"Move line 4 into a `@torch.jit.ignore` function `plain`, {CANNOT_BE_SAVED}"
    fix = fix_of(AFTER, None, "Annotate `x` as List[Tensor]", leaves, depth=LEAVES)
    assert fix.title.endswith(CANNOT_BE_SAVED)
    assert not fix.preferred
    assert fix_of(AFTER, None, leaves, depth=LEAVES).title == leaves
    assert not fix_of(AFTER, None, "Annotate `x` as List[Tensor]", "Annotate `y` as int").title.endswith(
        CANNOT_BE_SAVED
    )
