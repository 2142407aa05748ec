"""What the workspace reads: encodings, files around a class, base classes in files that are not saved."""

from __future__ import annotations

from pathlib import Path

import pytest

from ts_shape_server import workspace as workspaces
from ts_shape_server.cli.runs import python_files
from ts_shape_server.workspace import Workspace, decoded, encoding_of

NET = "from base import Base\n\n\nclass Net(Base):\n    def forward(self, x):\n        return x\n"


def written(folder: Path, **files: str) -> Workspace:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return Workspace((str(folder),))


@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        (b"x = 1\n", "utf-8", "x = 1\n"),
        (b"\xef\xbb\xbfx = 1\r\n", "utf-8-sig", "x = 1\r\n"),
        (b"# coding: latin-1\n# \xe9\n", "iso-8859-1", "# coding: latin-1\n# é\n"),
        (b"# coding: nothing\nx = 1\n", "utf-8", "# coding: nothing\nx = 1\n"),
        (b"# \xe9\n", "utf-8", "# \ufffd\n"),
        (b"", "utf-8", ""),
    ],
)
def test_a_file_is_read_in_the_encoding_it_declares(data: bytes, encoding: str, text: str) -> None:
    assert (encoding_of(data), decoded(data)) == (encoding, text)


def test_a_base_in_a_file_that_is_not_saved_decides(tmp_path: Path) -> None:
    written(tmp_path, base="class Base:\n    pass\n", net=NET)
    overlays: dict[str, str] = {}
    workspace = Workspace((str(tmp_path),), lambda: overlays)
    path = str(tmp_path / "net.py")
    assert workspace.snapshot(path, NET).modules == ()
    overlays[str(tmp_path / "base.py")] = "from torch import nn\n\n\nclass Base(nn.Module):\n    pass\n"
    workspace.reread()
    assert [item.name for item in workspace.snapshot(path, NET).modules] == ["Net"]


def test_the_evidence_is_of_the_files_as_they_stand(tmp_path: Path) -> None:
    net = NET.replace("from base import Base", "from torch import nn").replace("Base", "nn.Module")
    call = "from net import Net\n\nmodel = Net()\nmodel({})\n"
    workspace = written(tmp_path, net=net, train=call.format("1"), other="Nets = 1\n")
    path = str(tmp_path / "net.py")

    def given() -> list[object]:
        (item,) = workspace.request(workspace.snapshot(path, net)).classes
        return [list(each.inputs.args) for each in item.asked.evidence if each.inputs is not None]

    assert given() == [["1"]]
    (tmp_path / "train.py").write_text(call.format("2222"), encoding="utf-8")
    assert given() == [["2222"]]
    (tmp_path / "later.py").write_text(call.format("3"), encoding="utf-8")
    workspace.forget()
    assert sorted(map(str, given())) == ["['2222']", "['3']"]


MODULE = "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self, n):\n        self.n = n\n"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from models.net import Net\nNet(1)\n", 1),
        ("from models import Net\nNet(1)\n", 1),
        ("from models import Renamed\nRenamed(1)\n", 1),
        ("from models import Renamed as R\nR(1)\n", 1),
        ("import models.net as m\nm.Net(1)\n", 1),
        ("import models\nmodels.net.Net(1)\n", 1),
        ("from models import net\nnet.Net(1)\n", 1),
        ("from models.net import *\nNet(1)\n", 1),
        ("from models import net\nModel = net.Net\nModel(1)\n", 1),
        ("def make():\n    from models.net import Net\n    return Net(1)\n", 1),
        ("def make():\n    from other import Net\n    return Net(1)\n", 0),
        ("from models.net import Net\ndef make(Net):\n    return Net(1)\n", 0),
        ("from net import Net\nNet(1)\n", 1),  # `models` is on the path of whoever runs it
        ("from other import Net\nNet(1)\n", 0),
        ("from other import *\nNet(1)\n", 0),
        ("import other\nother.Net(1)\n", 0),
        ("from torch import nn\nnn.Net(1)\n", 0),
        ("from elsewhere import Net\nNet(1)\n", 0),
        ("class Net: pass\nNet(1)\n", 0),
        ("def Net(n): pass\nNet(1)\n", 0),
        ("from models.net import Net\ndef Net(n): pass\nNet(1)\n", 0),
        ("Net(1)\n", 0),
        ("class Host:\n    def f(self):\n        self.Net(1)\n", 0),
    ],
)
def test_a_call_belongs_to_the_class_that_its_name_stands_for(tmp_path: Path, code: str, expected: int) -> None:
    (tmp_path / "models").mkdir()
    written(tmp_path / "models", __init__="from .net import Net\nfrom .net import Net as Renamed\n", net=MODULE)
    workspace = written(tmp_path, other=MODULE, train=code)
    (item,) = workspace.request(workspace.snapshot(str(tmp_path / "models" / "net.py"), MODULE)).classes
    assert len(item.asked.evidence) == expected


def test_the_classes_that_make_a_class_come_with_it_the_outermost_first(tmp_path: Path) -> None:
    head = "from torch import nn\n"
    net = head + (
        "class Part(nn.Module): pass\nclass Block(nn.Module):\n    def __init__(self):\n        self.part = Part()\n"
    )
    whole = head + (
        "from net import Block\nclass Whole(nn.Module):\n    def __init__(self):\n"
        "        self.all = [Block() for _ in range(3)]\nWhole()\n"
    )
    workspace = written(tmp_path, net=net, whole=whole)
    classes = workspace.request(workspace.snapshot(str(tmp_path / "net.py"), net)).classes
    found = {item.name: [(Path(each.path).name, each.name) for each in item.asked.parents] for item in classes}
    assert found == {
        "Part": [("whole.py", "Whole"), ("net.py", "Block")],
        "Block": [("whole.py", "Whole")],
    }
    assert [item.label for item in classes[1].asked.parents[0].evidence] == ["call whole.py:6"]


def test_a_large_workspace_is_checked_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many files are read for evidence has a limit. It holds neither for what is checked, nor for what stands
    beside a class.
    """
    monkeypatch.setattr(workspaces, "_MOST_FILES", 2)
    net = NET.replace("from base import Base", "from torch import nn").replace("Base", "nn.Module")
    for folder in "abc":
        (tmp_path / folder).mkdir()
        call = f"from {folder}.net import Net\n\nmodel = Net()\nmodel(1)\n"
        written(tmp_path / folder, first="", net=net, train=call)
    assert len(python_files([str(tmp_path)])) == 9
    path, workspace = str(tmp_path / "c" / "net.py"), Workspace((str(tmp_path),))
    (item,) = workspace.request(workspace.snapshot(path, net)).classes
    assert {Path(each.path).parent.name for each in item.asked.evidence} == {"c"}


def test_documents_are_evidence_and_never_wrong(tmp_path: Path) -> None:
    workspace = written(tmp_path, net=MODULE)
    page = "# Use\n```python\nfrom net import Net\nm = Net(1)\nm(2)\n```\n"
    page += "```python\nfrom other import Net\nNet(3)\n```\n"
    (tmp_path / "README.md").write_text(page, encoding="utf-8")
    (item,) = workspace.request(workspace.snapshot(str(tmp_path / "net.py"), MODULE)).classes
    assert [(each.label, each.certain) for each in item.asked.evidence] == [
        ("call README.md:5", ""),
        ("call README.md:4", ""),
    ]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("m = Net()\ndef use():\n    return m(2)\n", "values"),
        ("out = Net()(2) if __name__ == '__main__' else None\n", "values"),
        ("m = Net()\ndef other():\n    global m\n    m = None\ndef use():\n    return m(2)\n", ""),
        ("m = Net()\ndef other():\n    m.part = None\ndef use():\n    return m(2)\n", ""),
        ("m = Net()\ndef use(flag):\n    return m(2) if flag else None\n", ""),
    ],
    ids=["of the module", "of the main program alone", "bound anew", "changed", "on a condition"],
)
def test_a_call_is_certain_of_an_object_that_only_the_module_makes(tmp_path: Path, code: str, expected: str) -> None:
    workspace = written(tmp_path, net=MODULE, use="from net import Net\n" + code)
    (item,) = workspace.request(workspace.snapshot(str(tmp_path / "net.py"), MODULE)).classes
    assert [each.certain for each in item.asked.evidence if each.inputs] == [expected]


def test_the_folder_named_is_the_root_or_the_repository_around_it(tmp_path: Path) -> None:
    alone, inside = tmp_path / "alone", tmp_path / "repository" / "inside"
    alone.mkdir()
    inside.mkdir(parents=True)
    (tmp_path / "repository" / ".git").mkdir()
    (inside / "net.py").write_text(MODULE, encoding="utf-8")
    (alone / "net.py").write_text(MODULE, encoding="utf-8")
    root_of = Workspace(()).root_of
    assert root_of(str(tmp_path / "repository")) == str(tmp_path / "repository")
    assert root_of(str(inside)) == root_of(str(inside / "net.py")) == str(tmp_path / "repository")
    assert root_of(str(alone)) == root_of(str(alone / "net.py")) == str(alone)


def test_what_lies_in_a_folder_of_all_users_makes_no_project_of_that(tmp_path: Path) -> None:
    shared, own = tmp_path / "shared", tmp_path / "shared" / "own"
    own.mkdir(parents=True)
    (shared / "pyproject.toml").touch()
    assert Workspace(()).root_of(str(own / "net.py")) == str(shared)
    shared.chmod(0o1777)
    assert Workspace(()).root_of(str(own / "net.py")) == str(own)


def test_environments_and_hidden_folders_are_not_searched(tmp_path: Path) -> None:
    for name in ("a.py", "pack/b.py", ".hidden/c.py", "venv/d.py", "mine/pyvenv.cfg", "mine/e.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    near = str(tmp_path / "pack" / "x.py")
    names = [Path(path).name for path in Workspace(()).files(str(tmp_path), near)]
    assert names == ["b.py", "a.py"]
