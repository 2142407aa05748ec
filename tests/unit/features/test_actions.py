"""Which fixes are worth a trial, and what a trial makes of them."""

from __future__ import annotations

from dataclasses import replace

from sample_reports import CNN, FAILED, LISTS, failure

from ts_shape_server.features import actions
from ts_shape_server.model import Annotation, Attempt, Report, TorchScript

ATTRIBUTE = Annotation("Dynamic", "", "state", "Optional[Tensor]", True)
TWO = replace(
    LISTS,
    torchscript=replace(LISTS.torchscript, annotations=(*LISTS.torchscript.annotations, ATTRIBUTE)),
)


def check(report: Report, *titles: str) -> None:
    assert [item.title for item in actions.candidates(report)] == list(titles)


def test_what_torchscript_does_not_need_is_no_fix() -> None:
    check(CNN)
    check(replace(FAILED, torchscript=LISTS.torchscript))


def test_one_needed_annotation_is_one_fix() -> None:
    check(LISTS, "Annotate `x` as List[Tensor]")


def test_several_needed_annotations_are_offered_together_and_alone() -> None:
    check(
        TWO,
        "Annotate all 2 places that TorchScript needs in Dynamic",
        "Annotate `x` as List[Tensor]",
        "Annotate `self.state` as Optional[Tensor]",
    )


def test_a_trial_says_what_a_fix_resolves() -> None:
    whole = actions.candidates(LISTS)[0]
    left = TorchScript(Attempt(True, (failure("script-trap", "`mask` is NoneType"),)), Attempt(True))
    fix = actions.verified(whole, LISTS, left)
    assert fix.preferred
    assert actions.helps(fix, "script-error", "`for` over a Tensor", "Dynamic")
    assert not actions.helps(fix, "script-trap", "`mask` is NoneType", "Dynamic")
    assert not actions.helps(fix, "script-error", "`for` over a Tensor", "Other")
    assert actions.helps(fix, "unannotated-input", "`x` has no annotation", "Dynamic")
    assert not actions.helps(fix, "unannotated-input", "`y` has no annotation", "Dynamic")


def test_fixing_all_takes_the_preferred_fix_of_each_class_once() -> None:
    fixes = [actions.verified(item, TWO, TorchScript()) for item in actions.candidates(TWO)]
    assert actions.together(fixes) == tuple(item for item in TWO.torchscript.annotations if item.needed)
    assert [item.preferred for item in actions.ordered(fixes)] == [True, False, False]
