"""Base classes and instances are followed through files and packages, by what the files say now."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from ts_shape_server.analysis.modules import find_classes, module_classes
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.resolve import Resolver

BASE = "from torch import nn\nclass Base(nn.Module):\n    class Inner(nn.Module): pass\nclass Plain: pass\n"
MADE = "from torch import nn\ndef made():\n    class Made(nn.Module): pass\n    return Made\n"
EITHER = "try:\n    from torch.nn import Module as Base\nexcept ImportError:\n    Base = object\n"
MIDDLE = {
    "base.py": "from middle import Middle\nclass Base(Middle): pass",
    "middle.py": "from torch import nn\nclass Middle(nn.Linear): pass",
}


def written(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def modules(resolver: Resolver, path: Path) -> list[str]:
    text = path.read_text("utf-8")
    classes, _ = find_classes(SourceText(text))
    return [item.name for item in module_classes(classes, lambda base: resolver.is_module(str(path), text, base))]


@pytest.mark.parametrize(
    ("files", "net"),
    [
        ({"base.py": BASE}, "from base import Base\nclass A(Base): pass"),
        ({"base.py": BASE}, "import base\nclass A(base.Base): pass"),
        ({"base.py": BASE}, "import base as b\nclass A(b.Base.Inner): pass"),
        ({"base.py": BASE}, "from base import *\nclass A(Base): pass"),
        ({"base.py": BASE}, "from os import *\nfrom base import *\nclass A(Base): pass"),
        ({"base.py": BASE}, "from base import Base\nBasis = Base\nclass A(Basis): pass"),
        ({"base.py": BASE}, "import base\nBasis = base.Base\nclass A(Basis[int]): pass"),
        ({"base.py": BASE}, "from .base import Base\nclass A(Base): pass"),
        ({"base.py": BASE}, "from . import base\nclass A(base.Base): pass"),
        ({"base.py": BASE}, "if True:\n    from base import Base\nclass A(Base): pass"),
        ({"p/__init__.py": "from .core import Base", "p/core.py": BASE}, "from p import Base\nclass A(Base): pass"),
        ({"p/__init__.py": "from p.core import *", "p/core.py": BASE}, "import p\nclass A(p.Base): pass"),
        ({"p/core.py": BASE}, "import p.core\nclass A(p.core.Base): pass"),
        ({"p/__init__.py": "from . import core as c", "p/core.py": BASE}, "from p import c\nclass A(c.Base): pass"),
        ({"src/p/core.py": BASE}, "from p.core import Base\nclass A(Base): pass"),
        ({"test/__init__.py": "", "test/base.py": BASE}, "from test.base import Base\nclass A(Base): pass"),
        (MIDDLE, "from base import Base\nclass A(Base): pass"),
        ({"base.py": EITHER}, "from base import Base\nclass A(Base): pass"),
        ({"base.py": MADE}, "from base import made\nclass A(made()): pass"),
        ({}, "import torch\nclass A(torch.fx.GraphModule): pass"),
        ({}, "from torch.nn import *\nclass A(Module): pass"),
    ],
)
def test_a_base_is_a_module_through(tmp_path: Path, files: dict[str, str], net: str) -> None:
    written(tmp_path, {**files, "net.py": net + "\n"})
    assert modules(Resolver([str(tmp_path)]), tmp_path / "net.py") == ["A"]


@pytest.mark.parametrize(
    "net",
    [
        "from base import Plain\nclass A(Plain): pass",
        "from base import missing\nclass A(missing): pass",
        "from not_there import Base\nclass A(Base): pass",
        "from base import Base\nclass A(Base.Missing): pass",
        "from .. import base\nclass A(base.Base): pass",
        "import torch\nclass A(torch.fx.Tracer): pass",
        "import torch\nclass A(torch.Size): pass",
        "import pickle\nclass A(pickle.Unpickler): pass",
        "class A(dict): pass",
        "class A(undefined): pass",
        "class A(undefined()): pass",
        "import net\nclass A(net.A): pass",
        "from net import *\nclass A(Other): pass",
    ],
)
def test_a_base_is_no_module(tmp_path: Path, net: str) -> None:
    folder = written(tmp_path / "inner", {"base.py": BASE, "net.py": net + "\n"})
    assert modules(Resolver([str(folder)]), folder / "net.py") == []


def test_files_that_import_each_other_come_to_an_end(tmp_path: Path) -> None:
    text = "from b import *\nfrom b import X\nclass A(X): pass\n"
    written(tmp_path, {"a.py": text, "b.py": "from a import *\nfrom a import X\n"})
    assert modules(Resolver([str(tmp_path)]), tmp_path / "a.py") == []


def test_files_that_changed_are_read_again_and_open_ones_as_they_are_shown(tmp_path: Path) -> None:
    written(tmp_path, {"base.py": BASE, "net.py": "from base import Base\nclass A(Base): pass\n"})
    overlays: dict[str, str] = {}
    resolver = Resolver([str(tmp_path)], overlays=lambda: overlays)
    assert modules(resolver, tmp_path / "net.py") == ["A"]
    overlays[str(tmp_path / "base.py")] = "class Base: pass\n"
    assert modules(resolver, tmp_path / "net.py") == []
    overlays.clear()
    assert modules(resolver, tmp_path / "net.py") == ["A"]
    written(tmp_path, {"base.py": "class Base: pass\n"})
    assert modules(resolver, tmp_path / "net.py") == []


def test_the_packages_of_an_interpreter_are_followed_without_running_it(tmp_path: Path) -> None:
    packages = "venv/lib/python3.11/site-packages"
    written(
        tmp_path,
        {
            f"{packages}/installed/__init__.py": BASE,
            f"{packages}/editable.pth": f"import nothing\n\n{tmp_path / 'checkout'}\n",
            "checkout/edited.py": BASE,
            "work/net.py": "import edited, installed\nclass A(installed.Base): ...\nclass B(edited.Base): ...\n",
            "venv/bin/python": "raise SystemExit",
        },
    )
    resolver = Resolver([str(tmp_path / "work")], str(tmp_path / "venv/bin/python"))
    assert modules(resolver, tmp_path / "work/net.py") == ["A", "B"]


def test_what_the_text_tells_costs_no_question_to_jedi(tmp_path: Path) -> None:
    text = "from base import Base\nimport pickle\nclass A(pickle.Pickler, Base): ...\n"
    written(tmp_path, {"base.py": BASE, "net.py": text})
    before = set(sys.modules)
    assert modules(Resolver([str(tmp_path)]), tmp_path / "net.py") == ["A"]
    assert "jedi" not in set(sys.modules) - before


TRAIN = """from net import Net as N
import net, torch

class Trainer:
    def __init__(self, model: N):
        self.model = N().to('cpu')

    def fit(self, given):
        return self.model(given)

model = net.Net(3).eval()
other = torch.nn.DataParallel(model)
first, second = N(), 3
plain = torch.rand(3)
nested = N.Inner()
built = net.build()
"""
NET = """from torch import nn
class Net(nn.Module):
    class Inner(nn.Module): pass
def build() -> Net:
    return Net()
"""


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("from net import ", "Net as N", "Net"),
        ("net import Net as ", "N\n", "Net"),
        ("model: ", "N)", "Net"),
        ("self.model = ", "N()", "Net"),
        ("self.mo", "del = N", "Net"),
        ("return self.", "model(given)", "Net"),
        ("", "model = net", "Net"),
        ("model = net.", "Net(3)", "Net"),
        ("", "other = torch", "Net"),
        ("DataParallel(", "model)", "Net"),
        ("", "nested = N", "Net.Inner"),
        ("nested = N.In", "ner()", "Net.Inner"),
        ("", "built = net", "Net"),
        ("", "plain = torch", None),
        ("self.model(", "given)", None),
        ("plain = torch.", "rand(3)", None),
        ("", "torch\n", None),
        ("first, ", "second = N", None),
        ("", "first, second", "Net"),
        ("class Train", "er:", None),
    ],
)
def test_a_name_leads_to_its_class(tmp_path: Path, before: str, after: str, expected: str | None) -> None:
    written(tmp_path, {"net.py": NET, "train.py": TRAIN})
    line, column = SourceText(TRAIN).position(TRAIN.index(before + after) + len(before))
    found = Resolver([str(tmp_path)]).definition(str(tmp_path / "train.py"), TRAIN, line, column)
    if expected is None:
        assert found is None
        return
    assert found is not None
    assert (Path(found.path).name, found.class_name) == ("net.py", expected)
    assert found.line == 1 + NET[: NET.index(f"class {expected.rsplit('.', 1)[-1]}")].count("\n")


NOT_HERE = """
import sys
from ts_shape_server.resolve import Resolver
text = "from torch import nn\\nm = nn.Linear(1, 1)\\nnet = m.to('cpu')\\n"
found = Resolver([sys.argv[1]])._jedi.classes("infer", sys.argv[1] + "/net.py", text, 3, 0)
print([name for _, name, _ in found], [name for name in ("torch", "numpy") if name in sys.modules])
"""


def test_jedi_imports_no_package_into_this_process(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", NOT_HERE, tmp_path], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("['Module'] []\n", "")
