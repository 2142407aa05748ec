"""A report is fresh while its file says the same of its class, and settled once a newer probe has answered."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from ts_shape_server.contract.report import Report, Status, ValueSpec, Variable
from ts_shape_server.lsp import commands
from ts_shape_server.lsp.documents import Document
from ts_shape_server.lsp.session import EditorSession
from ts_shape_server.settings import Settings
from ts_shape_server.workspace import Workspace

PATH = "/somewhere/net.py"
TEXT = """import torch
from torch import nn

WIDTH = 5
SIZES = (2, 3)


# ts-shape: x=(B, 3)
class Net(nn.Module):
    def __init__(self, width=WIDTH):
        super().__init__()
        self.fc = nn.Linear(3, width)

    def forward(self, x):
        return self.fc(x)


class Other(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = Net(
            4,
        )

    def forward(self, x):
        return self.net(x)


def made():
    return Net(7)


if __name__ == "__main__":
    net = made()
    net(torch.zeros(SIZES))
    print("done")


class Alone(nn.Module):
    def forward(self, x):
        return x
"""


def reported(text: str = TEXT) -> Document:
    """A document whose classes all have a final report of its text."""
    workspace = Workspace(())
    document = Document(PATH, "file://" + PATH, text, workspace.quick, 1)
    snapshot = workspace.quick(PATH, text)
    document.take_snapshot(snapshot, Settings())
    for item in snapshot.modules:
        document.take(Report(PATH, item.name, item.line, "ok", stage="final"), document.edition, Settings())
    return document


@pytest.mark.parametrize(
    ("old", "new", "stale"),
    [
        pytest.param("x=(B, 3)", "x=(B, 8, 3)", "Net", id="a pragma"),
        pytest.param("# ts-shape: x=(B, 3)\n", "", "Net", id="a pragma that goes"),
        pytest.param("Net(7)", "Net(9)", "Net", id="a call in a function"),
        pytest.param("            4,\n", "            6,\n", "Net Other", id="a line of a call in another class"),
        pytest.param("SIZES = (2, 3)", "SIZES = (2, 4)", "Net", id="a value that an instance is given"),
        pytest.param("WIDTH = 5", "WIDTH = 6", "Net Other", id="a value that the class reaches"),
        pytest.param("return self.net(x)", "return self.net(x).neg()", "Other", id="what another class does"),
        pytest.param("        return x\n", "        return x.neg()\n", "Alone", id="a class that stands alone"),
        pytest.param("import torch\n", "import torch\n\n\nMORE = 1\n", "", id="what has nothing to do with any"),
        pytest.param("\n\ndef made", "\n\n# a comment\n\n\ndef made", "", id="a comment"),
    ],
)
def test_a_report_is_fresh_while_the_file_says_the_same_of_its_class(old: str, new: str, stale: str) -> None:
    document = reported()
    assert TEXT.count(old) == 1
    document.change(TEXT.replace(old, new), 2, ())
    known = document.all_known()
    assert {name for name, item in known.items() if item.current is None} == set(stale.split())


def test_a_pragma_that_is_written_back_makes_the_report_fresh_again() -> None:
    document = reported()
    document.change(TEXT.replace("x=(B, 3)", "x=(B, 8, 3)"), 2, ())
    document.change(TEXT, 3, ())
    assert document.known("Net").current is not None


@pytest.mark.parametrize("text", [TEXT + "MORE = 1\n", TEXT.replace("x=(B, 3)", "x=(B, 8, 3)")], ids=["same", "other"])
async def test_export_waits_for_the_last_word_on_the_text_as_it_is(text: str) -> None:
    session = EditorSession(lambda paths: None, lambda status: None, lambda words: None)
    service: Any = object()
    session.scope().service = service
    document = reported()
    document.change(text, 2, ())
    document.take_snapshot(session.scope().workspace.quick(PATH, text), Settings())
    document.working = True
    server: Any = SimpleNamespace(session=session)
    waiting = asyncio.ensure_future(commands._final(server, document, "Net"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    newer = Report(PATH, "Net", 9, "ok", stage="final", notes=("newer",))
    document.take(newer, document.edition, Settings())
    assert (await asyncio.wait_for(waiting, 60)).notes == ("newer",)


async def test_a_hover_of_what_was_not_edited_does_not_wait() -> None:
    session = EditorSession(lambda paths: None, lambda status: None, lambda words: None)
    document = reported()
    document.change(TEXT + "MORE = 1\n", 2, ())
    document.working = True
    await asyncio.wait_for(session.wait_for(document, "Net", 3600), 60)
    assert document.known("Net").note() == ""


async def test_a_file_that_is_looked_at_anew_is_not_settled() -> None:
    """Another file has changed: what was the last word before is none now."""
    session = EditorSession(lambda paths: None, lambda status: None, lambda words: None)
    document = reported()
    assert document.settled == {"Net", "Other", "Alone"}
    session.refresh(document)
    assert document.settled == set()
    await session.stop()


def test_a_class_that_runs_again_is_hinted_once_and_not_first_with_the_sizes_of_one_run() -> None:
    """A class that failed while it was typed and runs again: its claim in symbols comes in a moment."""

    def told(status: Status, stage: str, *dims: int | str) -> Report:
        value = ValueSpec("Tensor", "float32", dims)
        return Report(PATH, "Typed", line, status, stage=stage, variables=(Variable("y", line + 2, value),))

    text = TEXT.replace("class Alone", "class Typed").replace(
        "        return x\n", "        y = x.neg()\n        return y\n"
    )
    line = text.split("\n").index("class Typed(nn.Module):") + 1
    workspace = Workspace(())
    document = Document(PATH, "file://" + PATH, text, workspace.quick, 1)
    document.take_snapshot(workspace.quick(PATH, text), Settings())

    def hints(report: Report) -> list[str]:
        document.take(report, document.edition, Settings())
        return [item.label for item in document.drawn["Typed"].hints]

    assert hints(told("ok", "example", 2, 3)) == [": (2, 3)"]
    assert hints(told("failed", "final")) == []
    assert hints(told("ok", "example", 2, 3)) == []
    assert hints(told("ok", "final", "B", "N")) == [": (B, N)"]
