"""A report that a stranger's code has forged speaks of no file but those of its workspace, wherever it is shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ts_shape_server.analysis.places import ClassPlace
from ts_shape_server.contract.asked import ClassAsked
from ts_shape_server.contract.jobs import ProbeClaim
from ts_shape_server.contract.places import Location, Range
from ts_shape_server.contract.report import Failure, Report, ScriptAttempt, TorchScript
from ts_shape_server.features.diagnostics import findings
from ts_shape_server.features.known import Known
from ts_shape_server.probing.agents import Done
from ts_shape_server.probing.confining import confined, within_folders
from ts_shape_server.probing.requests import ClassRequest, FileRequest, Options
from ts_shape_server.probing.rounds import Round
from ts_shape_server.probing.service import ProbeService
from ts_shape_server.settings import Settings

SPAN = Range(1, 0, 1, 1)
OUTSIDE = ["/etc/passwd", "/w/../etc/passwd", "/wide/x.py", "etc/passwd", "", "/w/a\0b", "/w/\ud800/../../x"]
PACKAGE = "/usr/lib/python3/site-packages/timm/layers.py"


def failure(code: str, path: str, related: str = "/w/net.py") -> Failure:
    return Failure(code, "words", Location(path, SPAN), related=(Location(related, SPAN, "here"),))


def forged(path: str) -> Report:
    """A report that names a file in each of the places where one can be named."""
    script = TorchScript(
        ScriptAttempt(False, (failure("script-error", path, path),)), ScriptAttempt(True, (failure("t", path, path),))
    )
    mismatches = (failure("call-mismatch", path, path), Failure("call-mismatch", "of no place"))
    reason = failure("shape-mismatch", path, path)
    return Report("/w/net.py", "Net", 1, "failed", reason=reason, mismatches=mismatches, torchscript=script)


def places(report: Report) -> set[str]:
    """Every file that a report names but its own."""
    reason = () if report.reason is None else (report.reason,)
    attempts = (*report.torchscript.script.failures, *report.torchscript.trace.failures)
    found = [*reason, *report.mismatches, *attempts]
    own = {item.location.path for item in found if item.location is not None}
    return own | {place.path for item in found for place in item.related}


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_place_outside_of_the_workspace_is_dropped(path: str) -> None:
    report = confined(forged(path), within_folders(["/w"]))
    assert places(report) == set()
    assert [item.message for item in report.mismatches] == ["of no place"]
    assert report.reason is not None and report.reason.message == "words"
    assert len(report.torchscript.script.failures) == len(report.torchscript.trace.failures) == 1


@pytest.mark.parametrize("path", ["/w/net.py", "/w/deep/er/train.py", "/w/./x/../y.py"])
def test_a_place_in_the_workspace_stays(path: str) -> None:
    report = forged(path)
    assert confined(report, within_folders(["/other", "/w/"])) == report


def test_a_place_in_a_package_is_shown_and_no_finding_stands_there() -> None:
    report = confined(forged(PACKAGE), within_folders(["/w"]))
    assert places(report) == {PACKAGE}
    assert [item.location for item in report.mismatches] == [None]


@pytest.mark.parametrize("path", ["/etc/passwd", PACKAGE])
def test_no_finding_is_published_on_a_file_outside(path: str) -> None:
    """The second line shows that it would be."""
    where = ClassPlace("Net", SPAN, {})
    for report, expected in ((confined(forged(path), within_folders(["/w"])), False), (forged(path), True)):
        found = findings("/w/net.py", [where], {"Net": Known("Net", report, fresh=True)}, Settings())
        assert any(item.path == path for item in found) is expected


def service(tmp_path: Path) -> tuple[ProbeService, FileRequest]:
    made = ProbeService(Options(folders=(str(tmp_path),), cache=tmp_path / "cache"))
    (tmp_path / "net.py").write_text("x = 1\n")
    return made, FileRequest(str(tmp_path / "net.py"), str(tmp_path), {}, (ClassRequest(ClassAsked("Net"), "d"),))


async def test_a_claim_is_confined_before_anything_is_done_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, request = service(tmp_path)

    async def lying(about: Round, *rest: object) -> Done:
        about.claim(ProbeClaim("Net", report=replace(forged("/etc/passwd"), stage="final")))
        return Done("finished", "", 1)

    async def found() -> None:
        return None

    monkeypatch.setattr(made, "_round", lying)
    monkeypatch.setattr(made, "_find", found)
    seen: list[Report] = []
    reports = await made.reports(request, seen.append)
    assert [places(item) for item in (*seen, *reports)] == [set(), set()]


def test_an_entry_of_the_cache_that_another_has_written_is_confined(tmp_path: Path) -> None:
    made, request = service(tmp_path)
    made._keep(request, 0, request.classes[0], replace(forged("/etc/passwd"), path=request.path), [])
    made._store.clear()
    (entry,) = (tmp_path / "cache").iterdir()
    assert json.loads(entry.read_text())["report"]["mismatches"][0]["location"]["path"] == "/etc/passwd"
    known = made.cached(request, "Net")
    assert known is not None and places(known) == set()
