"""Which findings a report makes, where they stand, and what turns them off."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sample_reports import CNN, FAILED, LISTS, failure

from ts_shape_server.analysis.places import ClassPlace
from ts_shape_server.analysis.script_uses import Purpose
from ts_shape_server.contract.places import Range
from ts_shape_server.contract.report import Annotation, Failure, InputSpec, Report, ValueSpec
from ts_shape_server.features.diagnostics import SEVERITIES, TORCHSCRIPT, Finding, findings
from ts_shape_server.features.known import Known
from ts_shape_server.settings import Settings, TorchScript

PATH = "/project/net.py"
NAME = Range(4, 6, 4, 15)
X = Range(11, 22, 11, 23)


def found(report: Report, settings: Settings | None = None, *, fresh: bool = True, **place: object) -> list[Finding]:
    where = ClassPlace(report.name, NAME, {"x": (X, None)})
    where = replace(where, **place)  # type: ignore[arg-type]
    known = {report.name: Known(report.name, report, fresh=fresh)}
    return findings(PATH, [where], known, settings or Settings())


def check(report: Report, *codes: str, settings: Settings | None = None, **place: object) -> None:
    assert [item.code for item in found(report, settings, **place)] == list(codes)


def test_a_clean_report_has_no_findings() -> None:
    check(CNN)


def test_a_class_that_fails_for_every_input_is_an_error_at_the_expression() -> None:
    (item,) = found(FAILED)
    assert (item.code, item.severity, item.range) == ("shape-mismatch", "error", Range(9, 8, 9, 20))
    assert item.related[0].message == "called from here"
    assert item.link.endswith("#shape-mismatch")


def test_every_reason_is_its_own_finding_with_its_severity() -> None:
    items = found(LISTS)
    assert [(item.code, item.severity) for item in items] == [
        ("script-error", "information"),
        ("script-trap", "information"),
        ("trace-warning", "information"),
        ("unannotated-input", "hint"),
    ]
    assert items[-1].range == X


@pytest.mark.parametrize(
    ("setting", "purposes", "severities"),
    [
        ("auto", [], ["information", "information", "information"]),
        ("auto", ["script"], ["warning", "warning", "information"]),
        ("auto", ["export"], ["warning", "warning", "information"]),
        ("auto", ["trace"], ["warning", "warning", "warning"]),
        ("warning", [], ["warning", "warning", "warning"]),
        ("information", ["script", "trace"], ["information", "information", "information"]),
        ("off", ["script"], []),
    ],
)
def test_what_torchscript_refuses_is_as_grave_as_it_is_used(
    setting: TorchScript, purposes: list[Purpose], severities: list[str]
) -> None:
    items = found(LISTS, Settings(torchscript=setting), purposes=frozenset(purposes))
    assert [item.severity for item in items if item.code in TORCHSCRIPT] == severities


@pytest.mark.parametrize("status", ["unresolved", "timeout", "crashed"])
def test_a_class_without_a_report_is_a_hint_at_its_name(status: str) -> None:
    reason = failure("no-input", "no input was found; annotate `x`")
    report = replace(FAILED, status=status, reason=replace(reason, location=None))  # type: ignore[arg-type]
    (item,) = found(report)
    assert (item.code, item.severity, item.range) == ("probe-failed", "hint", NAME)
    assert item.message == "SimpleCNN has no report: no input was found; annotate `x`"


def test_an_abstract_class_is_no_finding() -> None:
    check(replace(FAILED, status="skipped", reason=failure("abstract", "The class is abstract.")))


def test_a_failure_in_another_file_stands_at_the_class_and_points_there() -> None:
    report = replace(FAILED, reason=failure("shape-mismatch", "no fit", path="/project/base.py"))
    (item,) = found(report)
    assert (item.path, item.range) == (PATH, NAME)
    assert item.related[0].path == "/project/base.py"


def test_a_call_that_cannot_fit_stands_at_the_call() -> None:
    report = replace(CNN, mismatches=(failure("call-mismatch", "no fit", path="/project/train.py"),))
    (item,) = found(report)
    assert (item.path, item.severity) == ("/project/train.py", "error")


def test_settings_and_comments_turn_findings_off() -> None:
    quiet = Settings(script_errors=False, trace_warnings=False)
    check(LISTS, settings=quiet)
    check(LISTS, "script-trap", "trace-warning", "unannotated-input", ignore=frozenset({"script-error"}))
    check(LISTS, skip=True)


def test_an_annotated_parameter_needs_no_hint() -> None:
    check(LISTS, "script-error", "script-trap", "trace-warning", parameters={"x": (X, "List[Tensor]")})


@pytest.mark.parametrize(
    ("seen", "wanted", "said"),
    [
        (ValueSpec("Optional[Tensor]"), "Optional[Tensor]", "it is Optional[Tensor]."),
        (ValueSpec("Tensor", "float32", (2, 3)), "Optional[Tensor]", "it is Optional[Tensor] (Tensor (2, 3) float32)."),
    ],
)
def test_a_hint_says_a_type_once(seen: ValueSpec, wanted: str, said: str) -> None:
    needed = (Annotation(CNN.name, "forward", "x", wanted, True),)
    report = replace(
        CNN, inputs=(InputSpec("x", seen, "solved"),), torchscript=replace(CNN.torchscript, annotations=needed)
    )
    (item,) = found(report)
    assert item.message.endswith(said)
    assert item.fact("type") == wanted


def test_a_comment_that_cannot_be_read_is_said_even_without_a_report() -> None:
    items = findings(PATH, [ClassPlace("Net", NAME, {}, problems=((X, "no such directive"),))], {}, Settings())
    assert [(item.code, item.range) for item in items] == [("bad-pragma", X)]


def test_a_stale_report_makes_no_findings() -> None:
    assert found(FAILED, fresh=False) == []


def test_equal_findings_are_said_once() -> None:
    said = [failure("script-error", message, kind="loop-else") for message in ("one", "in other words")]
    said.append(failure("script-error", "one", kind="lambda"))
    script = replace(LISTS.torchscript, script=replace(LISTS.torchscript.script, failures=tuple(said)))
    items = found(replace(LISTS, torchscript=script))
    assert [item.kind for item in items if item.code == "script-error"] == ["loop-else", "lambda"]


def test_a_default_none_that_one_class_refuses_and_another_misreads_is_said_once() -> None:
    refused = failure("script-error", "`x` is taken for a Tensor", kind="untyped-parameter")
    trap = failure("script-trap", "`x=None` scripts", kind="none-default")
    assert refused.location is not None and refused.location == trap.location
    elsewhere = replace(trap, location=replace(refused.location, range=X))

    def kinds(*failures: Failure) -> list[str]:
        script = replace(LISTS.torchscript, script=replace(LISTS.torchscript.script, failures=failures))
        return [item.kind for item in found(replace(LISTS, torchscript=script)) if item.code.startswith("script")]

    assert kinds(refused, trap) == ["untyped-parameter"]
    assert sorted(kinds(refused, elsewhere)) == ["none-default", "untyped-parameter"]


def test_every_code_has_a_section_in_the_docs() -> None:
    from pathlib import Path

    page = (Path(__file__).parents[3] / "ts_shape_server" / "pages" / "diagnostics.md").read_text(encoding="utf-8")
    for code in SEVERITIES:
        assert f"\n## {code}\n" in page
