"""A configuration file that names a class by its import path gives its constructor arguments, and no other class's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from probing_helpers import Prober

from ts_shape_server.agent.clock import now
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.facts import config_files

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, width, classes=2):
        super().__init__()
        self.fc = nn.Linear(width, classes)

    def forward(self, x):
        return self.fc(x)
"""
NESTED = """
import importlib
from torch import nn

class Net(nn.Module):
    def __init__(self, head, sizes):
        super().__init__()
        module, name = head["target"].rsplit(".", 1)
        self.head = getattr(importlib.import_module(module), name)(**head.get("params", {}))
        self.fc = nn.Linear(sizes["inner"], sizes["outer"])

    def forward(self, x):
        return self.head(self.fc(x))
"""
ATTRIBUTES = NET.replace("self, width, classes=2", "self, cfg").replace("width, classes", "cfg.width, cfg.deep.classes")
OBJECT = """
from torch import nn

class Head(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(width, 4)

    def forward(self, x):
        return self.fc(x)

class Net(nn.Module):
    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, x):
        return self.head(x)
"""
DERIVED = NET.replace("class Net", "class Base") + (
    "class Net(Base):\n    def __init__(self, width, scale=1.0, classes=2):\n        super().__init__(width, classes)\n"
)


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    prober = Prober(wall=10.0)
    yield prober
    prober.close()


def told(prober: Prober, folder: Path, files: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    made = prober.reports(folder, files, "Net", on_report=lambda _: None)["Net"]
    assert made.status == "ok", made.reason
    return {name: (item.expression, item.source) for name, item in dict(made.init).items()}


@pytest.mark.parametrize(
    ("source", "content", "expected"),
    [
        pytest.param(
            NET,
            '{"model": {"target": "net.Net", "params": {"width": 9, "classes": 5}}}',
            {"width": "9", "classes": "5"},
            id="under target and params",
        ),
        pytest.param(
            NET,
            '{"class_path": "net.Net", "init_args": {"width": 7}}',
            {"width": "7"},
            id="under class_path and init_args",
        ),
        pytest.param(
            NET,
            '{"size": 11, "model": {"_target_": "net.Net", "_convert_": "all", "width": "${size}"}}',
            {"width": "11"},
            id="beside _target_, with an interpolation",
        ),
        pytest.param(
            NESTED,
            '{"target": "net.Net", "params": {"head": {"target": "torch.nn.ReLU"}, "sizes": {"inner": 6, "outer": 3}}}',
            {"head": "{'target': 'torch.nn.ReLU'}", "sizes": "{'inner': 6, 'outer': 3}"},
            id="of parts, which stay mappings",
        ),
        pytest.param(
            OBJECT,
            '{"_target_": "net.Net", "head": {"_target_": "net.Head", "width": 6}}',
            {"head": "Head(width=6)"},
            id="of parts, which hydra makes",
        ),
        pytest.param(
            ATTRIBUTES,
            '{"target": "net.Net", "params": {"cfg": {"width": 6, "deep": {"classes": 3}}}}',
            {
                "cfg": "__import__('types').SimpleNamespace(width=6, "
                "deep=__import__('types').SimpleNamespace(classes=3))"
            },
            id="that are read by attributes",
        ),
        pytest.param(
            DERIVED,
            '{"target": "net.Base", "params": {"width": 6, "classes": 3}}',
            {"width": "6", "classes": "3"},
            id="of a base class where the class has none",
        ),
    ],
)
def test_arguments(prober: Prober, tmp_path: Path, source: str, content: str, expected: Mapping[str, str]) -> None:
    found = told(prober, tmp_path, {"net.py": source, "configs/small.json": content})
    assert found == {name: (text, "configs/small.json") for name, text in expected.items()}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('{"target": "other.Net", "params": {"width": 9}}', id="of a namesake"),
        pytest.param('{"target": "far.net.Net", "params": {"width": 9}}', id="of a namesake in a folder of that name"),
        pytest.param('{"target": "net.Net", "params": {"wide": 9}}', id="of other parameters"),
        pytest.param('{"target": "net.Net", "params": {"width": "${nowhere}"}}', id="that are not in the file"),
        pytest.param('{"type": "Net", "params": {"width": 9}}', id="of a class without a path"),
    ],
)
def test_what_says_nothing(prober: Prober, tmp_path: Path, content: str) -> None:
    files = {"net.py": NET, "other.py": NET, "far/net.py": NET, "configs/small.json": content}
    assert told(prober, tmp_path, files)["width"][1] == "guess"


REGISTERED = NET.replace(
    "class Net", "def register_module(name=None):\n    return lambda cls: cls\n\n@register_module({})\nclass Net"
)


@pytest.mark.parametrize(
    ("source", "file", "content", "expected"),
    [
        pytest.param(
            REGISTERED.format(""),
            "small.py",
            "classes = 4\nmodel = dict(type='Whole', part=dict(type='Net', width=9, classes=classes))\nother = open\n",
            {"width": "9", "classes": "4"},
            id="by its decorator, in a Python file",
        ),
        pytest.param(
            REGISTERED.format("'small-net'"),
            "small.json",
            '{"model": {"name": "small-net", "width": 9}}',
            {"width": "9"},
            id="by its decorator under another name",
        ),
        pytest.param(
            NET + "\nMODELS = {'Net': Net}\n",
            "small.json",
            '{"log": {"name": "Net", "classes": 3}, "model": {"type": "Net", "args": {"width": 9}}}',
            {"width": "9"},
            id="in a table",
        ),
    ],
)
def test_a_class_that_is_registered(
    prober: Prober, tmp_path: Path, source: str, file: str, content: str, expected: Mapping[str, str]
) -> None:
    found = told(prober, tmp_path, {"net.py": source, file: content})
    assert found == {name: (text, file) for name, text in expected.items()}


def test_of_several_files_the_first_that_builds(prober: Prober, tmp_path: Path) -> None:
    files: dict[str, Any] = {
        "net.py": NET,
        "a.json": '{"target": "net.Net", "params": {"width": "?"}}',
        "b.json": '{"inner": {"target": "net.Net", "params": {"width": 5}}}',
        "c.json": '{"target": "net.Net", "params": {"width": 6}}',
    }
    assert told(prober, tmp_path, files) == {"width": ("6", "c.json")}


def test_a_link_to_nothing_says_nothing(prober: Prober, tmp_path: Path) -> None:
    (tmp_path / ".#net.py").symlink_to("somebody@somewhere.1234")
    found = told(prober, tmp_path, {"net.py": NET, "small.json": '{"model": {"name": "Net", "width": 9}}'})
    assert found["width"][1] == "guess"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("# Net\nwidth: 9\n", id="in a comment"),
        pytest.param("module: net.Network\n", id="as the beginning of a longer name"),
        pytest.param("type: Net\nwidth: 9\n", id="by its name alone, in no table"),
    ],
)
def test_a_file_that_cannot_name_the_class_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    path = tmp_path / "net.py"
    path.write_text(NET, encoding="utf-8")
    (tmp_path / "small.yaml").write_text(text, encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "net"}
    exec(NET, namespace)
    read: list[str] = []
    monkeypatch.setattr(config_files, "_parsed", lambda path, _: read.append(path))
    context = Context(str(path), str(tmp_path), NET, namespace, now() + 100.0)
    assert config_files.find(namespace["Net"], context) == []
    assert read == []


def test_a_class_of_a_file_that_was_not_saved_is_none_of_a_saved_one(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    (tmp_path / "small.json").write_text('{"target": "net.Net", "params": {"width": 9}}', encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "unsaved"}
    exec(NET, namespace)
    context = Context(str(tmp_path / "unsaved.py"), str(tmp_path), NET, namespace, now() + 100.0)
    assert config_files.find(namespace["Net"], context) == []
