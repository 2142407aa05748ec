"""The command `fix` as a person starts it: diffs that apply, files that keep their form, a sentence for the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract import schema
from ts_shape_server.contract.places import Range, TextEdit

ROOT = Path(__file__).parents[2]
SOURCE = """import torch
from torch import nn


class Times(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3)])

    @torch.no_grad()
    def forward(self, x, n=2):
        # kept é
        for i in range(len(self.layers)):  # each
            x = self.layers[i](x)
        return x * n
"""
FIXED = SOURCE.replace("n=2", "n: int = 2").replace("i in range(len(self.layers))", "layer in self.layers")
FIXED = FIXED.replace("self.layers[i](x)", "layer(x)").replace("    @torch.no_grad()\n", "")
HEAD, BODY = FIXED.split("        # kept")
BODY = "        # kept" + BODY
FIXED = HEAD + "        with torch.no_grad():\n" + "".join(f"    {line}\n" for line in BODY.splitlines())
CHILD = """from torch import nn
from times import Times


class Child(nn.Module):
    def __init__(self):
        super().__init__()
        self.times = Times()

    def forward(self, x):
        return self.times(x)
"""


@dataclass(frozen=True)
class Done:
    code: int
    output: bytes
    told: str


def fix(folder: Path, *arguments: str) -> Done:
    """The command, started in a folder."""
    return command(folder, "fix", *arguments)


def command(folder: Path, name: str, *arguments: str) -> Done:
    run = subprocess.run(
        [sys.executable, "-m", "ts_shape_server", name, "--interpreter", sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        check=False,
    )
    return Done(run.returncode, run.stdout, run.stderr.decode())


@pytest.mark.parametrize(
    ("form", "encoding"),
    [
        (lambda text: text, "utf-8"),
        (lambda text: text.replace("\n", "\r\n").replace("    ", "\t"), "utf-8"),
        (lambda text: text.rstrip("\n"), "utf-8-sig"),
    ],
    ids=["plain", "crlf-and-tabs", "mark-and-no-last-line-end"],
)
def test_a_file_keeps_its_form(tmp_path: Path, form: object, encoding: str) -> None:
    assert callable(form)
    path = tmp_path / "times.py"
    path.write_bytes(form(SOURCE).encode(encoding))
    path.chmod(0o640)
    shown = fix(tmp_path, "times.py")
    assert shown.code == 0, shown.told
    assert "Times: Annotate `n` as int." in shown.told
    assert path.read_bytes() == form(SOURCE).encode(encoding)
    written = fix(tmp_path, "times.py", "--write")
    assert (written.code, written.output) == (0, b"")
    assert path.read_bytes() == form(FIXED).encode(encoding)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [item.name for item in tmp_path.iterdir() if item.is_file()] == ["times.py"]
    path.write_bytes(form(SOURCE).encode(encoding))
    if encoding == "utf-8":
        subprocess.run(["git", "apply", "--whitespace=nowarn", "-"], cwd=tmp_path, input=shown.output, check=True)
        assert path.read_bytes() == form(FIXED).encode(encoding)


def test_each_file_that_cannot_be_repaired_gets_a_sentence_and_the_rest_is_done(tmp_path: Path) -> None:
    (tmp_path / "times.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "child.py").write_text(CHILD)
    (tmp_path / "needs.py").write_text(
        "from torch import nn\n\n\nclass Needs(nn.Module):\n    def forward(self, x):\n        return x + missing\n"
    )
    done = fix(tmp_path, "broken.py", "child.py", "needs.py", "times.py", "--write")
    assert done.code == 2
    told = done.told.splitlines()
    assert any(line.startswith("broken.py has a syntax error in line 1: ") for line in told), told
    assert any(line.startswith("Child still fails (times.py, line 11): `n` is taken for a Tensor") for line in told), (
        told
    )
    assert any(line.startswith("Needs is left as it is, since it could not be run: ") for line in told), told
    assert "times.py is written." in told
    assert (tmp_path / "times.py").read_text() == FIXED
    assert fix(tmp_path, "child.py").code == 0


def test_json_tells_what_was_fixed_what_is_left_and_the_edits(tmp_path: Path) -> None:
    (tmp_path / "times.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "child.py").write_text(CHILD)
    (tmp_path / "needs.py").write_text(
        "from torch import nn\n\n\nclass Needs(nn.Module):\n    def forward(self, x):\n        return x + missing\n"
    )
    shown = fix(tmp_path, "broken.py", "child.py", "needs.py", "times.py", "--json")
    assert shown.code == 2
    assert [line.split(" in line")[0] for line in shown.told.splitlines()] == ["broken.py has a syntax error"]
    child, needs, times = (json.loads(line) for line in shown.output.splitlines())
    assert (child["edits"], needs["edits"]) == ([], [])
    (own,) = child["classes"]
    assert (own["class"], own["status"], own["fixed"]) == ("Child", "ok", [])
    assert own["scripts"] == {"before": False, "after": False}
    assert {(Path(item["location"]["path"]).name, item["location"]["range"]["line"]) for item in own["left"]} >= {
        ("times.py", 11)
    }
    (own,) = needs["classes"]
    assert (own["status"], own["scripts"], own["left"]) == ("unresolved", None, [])
    assert own["reason"]["code"]
    (own,) = times["classes"]
    assert own["scripts"] == {"before": False, "after": True}
    assert (own["left"], own["left_to_python"], own["changes_interface"]) == ([], False, False)
    assert {"id": "annotations", "title": "Annotate `n` as int"} in own["fixed"]
    edits = [TextEdit(schema.read(Range, item["range"]), item["text"]) for item in times["edits"]]
    assert SourceText(SOURCE).apply(edits) == FIXED
    assert (times["written"], (tmp_path / "times.py").read_text()) == (False, SOURCE)
    written = fix(tmp_path, "times.py", "--json", "--write")
    assert (written.code, written.told) == (0, "")
    assert json.loads(written.output)["written"] is True
    assert (tmp_path / "times.py").read_text() == FIXED


def test_what_names_no_module_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("x = 1\n")
    done = fix(tmp_path, "empty.py")
    assert (done.code, done.told) == (2, "There is no nn.Module in empty.py.\n")
    done = fix(tmp_path, "empty.py:Net")
    assert (done.code, done.told) == (2, "There is no nn.Module Net in empty.py.\n")


def test_a_class_that_is_named_alone_is_held_to_those_it_reaches(tmp_path: Path) -> None:
    source = """from torch import nn


class Base(nn.Module):
    def forward(self, *parts):
        return self.sum(*parts)

    def sum(self, *parts):
        return parts[0] + parts[-1]


class Other(Base):
    def forward(self, x):
        return self.sum(x, x, x)
"""
    path = tmp_path / "parts.py"
    path.write_text(source)
    done = fix(tmp_path, "parts.py:Base", "--write")
    assert done.code == 1, done.told
    assert path.read_text() == source


@pytest.mark.parametrize(
    "arguments", [("show", "broken.py"), ("show", "broken.py:Net"), ("export", "broken.py:Net", "-o", "net.pt")]
)
def test_a_file_that_does_not_parse_is_told_with_its_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "broken.py").write_text("import torch\nclass Net(:\n")
    done = command(tmp_path, *arguments)
    assert done.code == 2
    assert done.told.startswith("broken.py has a syntax error in line 2: ")
