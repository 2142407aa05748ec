"""A session with a service that the test holds: what is fresh, what is cancelled, what stands in the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ts_shape_server.contract.places import Location, Range
from ts_shape_server.contract.report import Failure, Report, without_report
from ts_shape_server.lsp import scopes
from ts_shape_server.lsp.documents import Document
from ts_shape_server.lsp.files import MOST_UNOPENED
from ts_shape_server.lsp.scopes import UNTRUSTED
from ts_shape_server.lsp.session import EditorSession
from ts_shape_server.probing.rounds import Tiers
from ts_shape_server.probing.service import FileRequest

TEXT = "from torch import nn\n\n\nclass Net(nn.Module):\n    def forward(self, x):\n        return x\n"


class HeldService:
    """Answers when the test says so."""

    made: ClassVar[list[HeldService]] = []

    def __init__(self, options: Any, on_status: Callable[[], None]) -> None:
        self.options = options
        self.problem = None
        self.running = 0
        self.asked: list[str] = []
        self.cancelled = 0
        self.stopped = False
        self.looked_at = ""
        self.gate = asyncio.Event()
        self.tiers: Callable[[], Tiers] = tuple
        self.answer: Callable[[str, str], Report] = lambda path, name: Report(path, name, 4, "ok")
        HeldService.made.append(self)

    async def find(self) -> None:
        return None

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        self.stopped = True

    async def restart(self) -> None:
        return None

    def info(self) -> dict[str, Any]:
        return {"interpreter": None, "torch": None, "sandbox": None, "problem": None, "engine": None}

    def look_at(self, path: str) -> None:
        self.looked_at = path

    async def reports(
        self, request: FileRequest, on_report: Callable[[Report], None], tiers: Callable[[], Tiers] = tuple
    ) -> tuple[Report, ...]:
        self.asked.append(request.text())
        self.tiers = tiers
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        found = tuple(self.answer(request.path, item.name) for item in request.classes)
        for report in found:
            on_report(report)
        return found


class Watched:
    def __init__(self) -> None:
        self.changes: list[set[str]] = []
        self.warnings: list[str] = []
        self.session = EditorSession(self.changes.append, lambda status: None, self.warnings.append)


@pytest.fixture
async def watched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Watched]:
    HeldService.made.clear()
    monkeypatch.setattr(scopes, "ProbeService", HeldService)
    found = Watched()
    yield found
    await found.session.stop()


async def until(there: Callable[[], Any]) -> None:
    for _ in range(1000):
        if there():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about")


async def opened(watched: Watched, folder: Path, *layers: dict[str, Any]) -> HeldService:
    await watched.session.configure((str(folder),), True, layers)
    watched.session.open(str(folder / "net.py"), (folder / "net.py").as_uri(), TEXT, 1)
    service = HeldService.made[-1]
    await until(lambda: service.asked)
    return service


async def test_a_report_is_fresh_only_for_the_code_it_was_made_from(watched: Watched, tmp_path: Path) -> None:
    service = await opened(watched, tmp_path)
    document = watched.session.opened(str(tmp_path / "net.py"))
    assert document is not None
    assert document.known("Net").running
    service.gate.set()
    await until(lambda: document.known("Net").current)
    assert not document.known("Net").running
    service.gate.clear()
    watched.session.change(document.path, TEXT + "\n\nMORE = 1\n", 2)
    assert document.known("Net").current is not None
    assert document.known("Net").note() == ""
    watched.session.change(document.path, TEXT.replace("return x", "return x.neg()"), 3)
    assert document.known("Net").current is None
    assert "earlier version" in document.known("Net").note()
    service.gate.set()
    await until(lambda: document.known("Net").current)


async def test_a_newer_version_cancels_the_older_probe(watched: Watched, tmp_path: Path) -> None:
    service = await opened(watched, tmp_path)
    path = str(tmp_path / "net.py")
    watched.session.change(path, TEXT + "a = 1\n", 2)
    watched.session.change(path, TEXT + "a = 2\n", 3)
    await until(lambda: len(service.asked) == 2)
    assert service.cancelled == 1
    assert service.asked[-1].endswith("a = 2\n")
    assert service.looked_at == path


async def test_an_agent_that_cannot_run_is_an_obstacle_and_no_report(watched: Watched, tmp_path: Path) -> None:
    service = await opened(watched, tmp_path)
    reason = Failure("no-torch", "No interpreter has torch.")
    service.answer = lambda path, name: without_report(path, name, 4, "unresolved", reason)
    service.gate.set()
    document = watched.session.opened(str(tmp_path / "net.py"))
    assert document is not None
    await until(lambda: document.obstacle)
    await until(lambda: not document.working)
    assert document.known("Net").report is None
    assert document.known("Net").note() == "No interpreter has torch."
    assert watched.session.findings(document.path) == []
    assert watched.warnings == ["No interpreter has torch."]


async def test_without_trust_there_is_no_service(watched: Watched, tmp_path: Path) -> None:
    await watched.session.configure((str(tmp_path),), False, [])
    document = watched.session.open(str(tmp_path / "net.py"), (tmp_path / "net.py").as_uri(), TEXT, 1)
    await until(lambda: document.current)
    assert HeldService.made == []
    assert document.known("Net").note() == UNTRUSTED
    assert await watched.session.restart() == UNTRUSTED


async def test_a_hover_before_the_settings_waits_for_them(watched: Watched, tmp_path: Path) -> None:
    document = watched.session.open(str(tmp_path / "net.py"), (tmp_path / "net.py").as_uri(), TEXT, 1)
    waiting = asyncio.ensure_future(watched.session.wait_for(document, "Net", 10))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await watched.session.configure((str(tmp_path),), True, [])
    HeldService.made[-1].gate.set()
    await asyncio.wait_for(waiting, 10)
    assert document.known("Net").current is not None


async def test_waiting_for_a_report_ends_in_time(watched: Watched, tmp_path: Path) -> None:
    await opened(watched, tmp_path)
    document = watched.session.opened(str(tmp_path / "net.py"))
    assert document is not None
    await asyncio.wait_for(watched.session.wait_for(document, "Net", 0.05), 2)
    assert "under way" in document.known("Net").note()


async def test_new_options_replace_the_service_and_others_do_not(watched: Watched, tmp_path: Path) -> None:
    first = await opened(watched, tmp_path)
    await watched.session.configure((str(tmp_path),), True, [{"inlayHints": "off"}])
    assert HeldService.made == [first]
    await watched.session.configure((str(tmp_path),), True, [{"timeoutMs": 1234}])
    assert first.stopped
    assert HeldService.made[-1].options.limits.wall == 1.234


async def test_a_project_file_gives_settings_and_its_faults_are_said(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.ts-shape]\ntimeoutMs = 777\njobs = 'many'\n")
    await watched.session.configure((str(tmp_path),), True, [{"hover": {"waitMs": 5}}])
    assert watched.session.scope().settings.timeout_ms == 777
    assert watched.session.scope().settings.hover_wait_ms == 5
    assert ["jobs" in item for item in watched.warnings] == [True]


async def test_a_file_that_does_not_parse_is_not_probed(watched: Watched, tmp_path: Path) -> None:
    service = await opened(watched, tmp_path)
    service.gate.set()
    document = watched.session.opened(str(tmp_path / "net.py"))
    assert document is not None
    await until(lambda: document.known("Net").current)
    watched.session.change(document.path, TEXT + "def broken(:\n", 2)
    await until(lambda: document.obstacle)
    assert len(service.asked) == 1
    assert [item.code for item in watched.session.findings(document.path)] == ["probe-failed"]
    watched.session.change(document.path, TEXT, 3)
    await until(lambda: document.known("Net").current)
    assert document.obstacle == ""


def written(folder: Path, name: str, text: str = TEXT) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


async def looked_at(watched: Watched, path: str) -> Document:
    """A file that is not open, once it has its reports."""
    document = watched.session.document(path)
    assert document is not None
    await until(lambda: not document.busy and document.known("Net").current)
    return document


def mismatching(path: str, name: str) -> Report:
    """The report of a class; a call of that of one file does not fit, in another file."""
    if not path.endswith("first.py"):
        return Report(path, name, 4, "ok", stage="final")
    place = Location(str(Path(path).with_name("train.py")), Range(1, 0, 1, 5))
    failure = Failure("call-mismatch", "It does not fit.", place)
    return Report(path, name, 4, "ok", mismatches=(failure,), stage="final")


async def test_a_file_that_is_not_open_is_read_again_when_the_disk_has_changed(
    watched: Watched, tmp_path: Path
) -> None:
    service = await opened(watched, tmp_path)
    service.gate.set()
    document = await looked_at(watched, written(tmp_path, "model.py"))
    newer = TEXT.replace("return x", "return x.neg().abs()")
    written(tmp_path, "model.py", newer)
    await watched.session.disk_changed()
    assert document.text == newer
    await until(lambda: service.asked[-1] == newer or newer in service.asked)
    (tmp_path / "model.py").unlink()
    watched.changes.clear()
    await watched.session.disk_changed()
    assert {document.path} in watched.changes
    assert document.path not in watched.session.files.documents


async def test_what_was_found_because_of_a_file_goes_when_that_is_forgotten(watched: Watched, tmp_path: Path) -> None:
    service = await opened(watched, tmp_path)
    service.answer = mismatching
    service.gate.set()
    first = await looked_at(watched, written(tmp_path, "first.py"))
    train = str(tmp_path / "train.py")
    await until(lambda: watched.session.findings(train))
    assert first.told == {first.path, train}
    watched.changes.clear()
    for number in range(MOST_UNOPENED):
        watched.session.document(written(tmp_path, f"more{number}.py"))
    assert {first.path, train} in watched.changes
    assert watched.session.findings(train) == []


async def test_what_a_check_of_the_workspace_found_stays_until_the_file_changes(
    watched: Watched, tmp_path: Path
) -> None:
    service = await opened(watched, tmp_path)
    service.answer = mismatching
    service.gate.set()
    first = await looked_at(watched, written(tmp_path, "first.py"))
    first.checked = True
    train = str(tmp_path / "train.py")
    await until(lambda: watched.session.findings(train))
    for number in range(MOST_UNOPENED):
        watched.session.document(written(tmp_path, f"more{number}.py"))
    assert first.path not in watched.session.files.documents
    await watched.session.disk_changed()
    assert len(watched.session.findings(train)) == 1
    written(tmp_path, "first.py", TEXT + "MORE = 1\n")
    await watched.session.disk_changed()
    assert watched.session.findings(train) == []
    assert {first.path, train} in watched.changes


async def test_fixes_are_tried_for_files_that_are_open_or_to_be_repaired(
    watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    async def fixes(self: EditorSession, service: object, request: object, document: Document, edition: int) -> None:
        tried.append(Path(document.path).name)

    monkeypatch.setattr(EditorSession, "_try_fixes", fixes)
    service = await opened(watched, tmp_path)
    service.gate.set()
    await until(lambda: tried == ["net.py"])
    document = await looked_at(watched, written(tmp_path, "model.py"))
    assert tried == ["net.py"]
    watched.session.look_for_fixes(document)
    await until(lambda: tried == ["net.py", "model.py"])


async def test_the_class_that_a_person_is_at_goes_before_those_on_the_screen(watched: Watched, tmp_path: Path) -> None:
    """Also when the person has moved on while the file is being probed."""
    service = await opened(watched, tmp_path)
    four = "\n\n".join(TEXT.replace("class Net", f"class {name}").partition("\n\n\n")[2] for name in "ABCD")
    text = f"from torch import nn\n\n\n{four}"
    document = watched.session.opened(str(tmp_path / "net.py"))
    assert document is not None
    watched.session.change(document.path, text, 2)
    await until(lambda: service.asked[-1:] == [text])
    assert service.tiers() == (frozenset({""}), frozenset())
    lines = text.split("\n")
    begin, end = (lines.index(f"class {name}(nn.Module):") + 1 for name in "BC")
    document.shown = Range(begin + 1, 0, end, 0)
    document.is_at(lines.index("class D(nn.Module):") + 3)
    assert service.tiers() == (frozenset({"D"}), frozenset({"B", "C"}))
    document.is_at(1)
    assert service.tiers()[0] == {"D"}
