"""The command line without a probe: flags, targets, the forms of findings."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from ts_shape_server import cli
from ts_shape_server.analysis.modules import find_classes
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.cli import tables
from ts_shape_server.cli.commands import constructor, inputs, must_take
from ts_shape_server.cli.formats import FORMATS, summed
from ts_shape_server.cli.runs import CommandProblem, target
from ts_shape_server.contract.places import Location, Range
from ts_shape_server.contract.report import Report
from ts_shape_server.features.diagnostics import Finding, Severity

FINDING = Finding(
    str(Path.cwd() / "a,b.py"),
    Range(3, 4, 3, 9),
    "shape-mismatch",
    "error",
    "16 arrive\n32 are taken: 100%",
    "Net",
    related=(Location(str(Path.cwd() / "c.py"), Range(1, 0, 1, 1), "made here"),),
)
REPORT = Report(FINDING.path, "Net", 1, "failed")


def test_text_has_one_line_for_each_finding_and_place() -> None:
    assert FORMATS["text"]([FINDING], [REPORT]).split("\n") == [
        "a,b.py:3:5: error[shape-mismatch] 16 arrive 32 are taken: 100%",
        "    c.py:1:1: made here",
    ]


def test_findings_about_torchscript_are_one_line_a_class() -> None:
    def at(line: int, code: str, message: str, name: str = "Net") -> Finding:
        severity: Severity = "information" if code == "trace-warning" else "warning"
        return Finding(FINDING.path, Range(line, 0, line, 1), code, severity, message, name)

    several = [at(4, "trace-warning", "frozen"), at(5, "script-error", "refused"), at(5, "script-trap", "else")]
    alone = at(9, "script-error", "no", "Other")
    shown = summed([FINDING, *several, alone])
    assert [item.message for item in shown] == [
        FINDING.message,
        "Net: 1 trace-warning, 1 script-error, 1 script-trap in lines 4 and 5; refused",
        "no",
    ]
    assert [item.severity for item in shown] == ["error", "warning", "warning"]


def test_json_has_findings_and_classes() -> None:
    found = json.loads(FORMATS["json"]([FINDING], [REPORT]))
    assert found["findings"][0]["code"] == "shape-mismatch"
    assert found["classes"] == [{"path": FINDING.path, "class": "Net", "line": 1, "status": "failed"}]


def test_github_commands_are_escaped() -> None:
    line = FORMATS["github"]([FINDING], [REPORT])
    assert line.startswith("::error file=a%2Cb.py,line=3,")
    assert line.endswith("::16 arrive%0A32 are taken: 100%25")


@pytest.mark.parametrize("form", ["text", "github"])
def test_a_path_does_not_steer_the_terminal(form: str) -> None:
    item = replace(FINDING, path=str(Path.cwd() / "a\x1b]0;title\x07.py"))
    assert not {"\x1b", "\x07"} & set(FORMATS[form]([item], [REPORT]))


def test_sarif_names_rules_and_places() -> None:
    (run,) = json.loads(FORMATS["sarif"]([FINDING], [REPORT]))["runs"]
    (result,) = run["results"]
    region = result["locations"][0]["physicalLocation"]["region"]
    assert (result["level"], region["startLine"], region["startColumn"]) == ("error", 3, 5)
    assert result["ruleId"] in [rule["id"] for rule in run["tool"]["driver"]["rules"]]


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_no_findings_are_a_valid_answer(form: str) -> None:
    text = FORMATS[form]([], [])
    assert text == "" or json.loads(text)


def test_constructor_arguments_are_expressions_by_name() -> None:
    assert constructor(["a=1, b='x, y'", "c=[1, 2]"]) == {"a": "1", "b": "'x, y'", "c": "[1, 2]"}


@pytest.mark.parametrize("text", ["1", "a", "**b", "a=", "a=1)(", "a=1).b("])
def test_what_is_no_constructor_argument_is_refused(text: str) -> None:
    with pytest.raises(CommandProblem):
        constructor([text])


def test_input_specs_are_taken_as_they_are() -> None:
    assert inputs(["x=(2, 3)", "y = [(L,) int64, ...]"]) == {"x": "(2, 3)", "y": "[(L,) int64, ...]"}
    with pytest.raises(CommandProblem):
        inputs(["(2, 3)"])


@pytest.mark.parametrize(
    ("parameters", "given", "words"),
    [
        ("x", {"x": "(2, 3)"}, ""),
        ("x", {"y": "(2, 3)"}, "--input y=(2, 3): `forward` has no parameter `y`; it has `x`."),
        ("x", {"x": "2 by 3"}, "--input x=2 by 3: `2 by 3` is neither a shape nor a value"),
        ("x, **other", {"y": "(2, 3)"}, ""),
    ],
)
def test_an_input_that_forward_does_not_take_is_refused(parameters: str, given: dict[str, str], words: str) -> None:
    text = f"from torch import nn\nclass Net(nn.Module):\n    def forward(self, {parameters}):\n        return x\n"
    (module,) = find_classes(SourceText(text))[0].classes
    if not words:
        must_take(module, given)
        return
    with pytest.raises(CommandProblem) as raised:
        must_take(module, given)
    assert str(raised.value).startswith(words)


def test_a_target_is_a_file_with_or_without_a_class(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text("")
    assert target(str(path)).class_name is None
    assert target(f"{path}:Net").class_name == "Net"
    with pytest.raises(CommandProblem, match="There is no file"):
        target(str(tmp_path / "other.py"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "nowhere.py"], "There is no file nowhere.py.\n"),
        (["check", "nowhere"], "There is no file or folder nowhere.\n"),
        (["show", "."], ". is a folder: name a file of it, or FILE:CLASS. `check .` goes through all of it.\n"),
        (
            ["check", f"{__file__}:Net"],
            f"`check` takes files and folders, not {__file__}:Net: for one class there is `show {__file__}:Net`.\n",
        ),
        (["export", "nowhere.py:Net", "-o", "out.pt"], "There is no file nowhere.py.\n"),
    ],
)
def test_what_cannot_run_is_one_sentence_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == cli.COULD_NOT_RUN
    assert capsys.readouterr().err == message


@pytest.mark.parametrize(
    ("output", "more", "words"),
    [
        ("", (), "is a folder: name a file in it."),
        ("folder", (), "is a folder: name a file in it."),
        ("none/out.pt", (), "none does not exist: make it first."),
        ("net.py/out.pt", (), "is a file and no folder."),
        ("old.pt", (), "exists: choose another name, or allow it to be replaced (--force)."),
        ("link.pt", (), "exists: choose another name, or allow it to be replaced (--force)."),
        ("pipe", ("--force",), "is a device, pipe or socket, which an export does not replace."),
        ("out.pt", ("--checkpoint", "none.pth"), "The checkpoint none.pth does not exist."),
        ("out.pt", ("--checkpoint", "folder"), "The checkpoint folder is a folder: name a file in it."),
        ("out.pt", ("--init", "5"), "--init takes name=expression, not 5."),
    ],
)
def test_an_export_that_cannot_be_is_told_before_any_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    output: str,
    more: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text("")
    Path("old.pt").write_text("old")
    Path("folder").mkdir()
    Path("link.pt").symlink_to("nowhere.pt")
    os.mkfifo("pipe")
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(["export", "net.py:Net", "-o", output, *more]) == cli.COULD_NOT_RUN
    told = capsys.readouterr().err
    assert told.endswith(f"{words}\n")
    assert told.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert Path("old.pt").read_text() == "old"


@pytest.mark.parametrize("arguments", [["serve", "--tcp", "nowhere"], ["show"], ["check", "a", "--format", "xml"]])
def test_wrong_flags_are_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert left.value.code == cli.COULD_NOT_RUN


@pytest.mark.parametrize(
    ("engine", "told"),
    [("symbolic", "torch states what a size has to be"), ("numbers", "sizes are tried one by one"), (None, "")],
)
def test_info_says_which_engine_finds_the_inputs(engine: str | None, told: str) -> None:
    written = io.StringIO()
    tables.info({"torch": "2.13.0", "engine": engine}, Console(file=written, width=240))
    lines = [line for line in written.getvalue().splitlines() if line.startswith("engine")]
    assert [told in line for line in lines] == ([True] if told else [])
