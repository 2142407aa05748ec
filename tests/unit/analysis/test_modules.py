"""Every module class of a file is found, and its digest changes with its code alone."""

import pytest

from ts_shape_server.analysis.modules import ModuleClass, find_classes, module_classes
from ts_shape_server.analysis.text import SourceText


def modules(text: str) -> dict[str, ModuleClass]:
    classes, _ = find_classes(SourceText(text))
    return {item.name: item for item in module_classes(classes, lambda base: base.resolved == "elsewhere.Known")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import torch.nn as nn\nclass A(nn.Module): pass", ["A"]),
        ("import torch\nclass A(torch.nn.Module): pass", ["A"]),
        ("from torch import nn\nclass A(nn.Module): pass", ["A"]),
        ("from torch.nn import Module as M\nclass A(M): pass", ["A"]),
        ("from torch import nn\nclass A(nn.Module): pass\nclass B(A): pass\nclass C: pass", ["A", "B"]),
        ("from torch import nn\nclass B(nn.Conv2d): pass", ["B"]),
        ("from torch import nn\nclass A(nn.Module):\n  class Inner(nn.Module): pass", ["A", "A.Inner"]),
        ("from torch import nn\ndef make():\n  class Net(nn.Module): pass\n  return Net", ["make.<locals>.Net"]),
        ("from torch import nn\nif True:\n  class A(nn.Module): pass\nelse:\n  class B(nn.Module): pass", ["A", "B"]),
        ("from torch import nn\ntry:\n  class A(nn.Module): pass\nexcept E:\n  class B(nn.Module): pass", ["A", "B"]),
        ("from elsewhere import Known\nclass A(Known): pass", ["A"]),
        ("from elsewhere import Other\nclass A(Other): pass", []),
        ("from torch import nn\nclass A(Base[int], nn.Module): pass", ["A"]),
        ("import pytorch_lightning as pl\nclass A(pl.LightningModule): pass", ["A"]),
        ("import torch\nclass F(torch.autograd.Function): pass", []),
    ],
)
def test_module_classes_are_found_through(text: str, expected: list[str]) -> None:
    assert list(modules(text)) == expected


def test_a_broken_statement_costs_only_itself() -> None:
    head = "from torch import nn\nclass A(nn.Module):\n    pass\n\n"
    text = head + "def broken(:\n    x = 1\n\nclass B(nn.Module):\n    pass\n"
    classes, problems = find_classes(SourceText(text))
    assert [item.name for item in classes.classes] == ["A", "B"]
    assert classes.syntax_error is not None
    assert classes.syntax_error[0].line == 5
    assert "line 5" in problems[0]


BODY = """from torch import nn
K = 3
def helper(): return K
class A(nn.Module):
    def f(self): return helper()
class B(nn.Module): pass
"""


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("K = 3\n", "K = 3  # three\n", True),
        ("class B(nn.Module): pass", "class B(nn.Module): x = 1", True),
        ("K = 3", "K = 4", False),
        ("return helper()", "return helper() + 1", False),
    ],
)
def test_the_digest_changes_with_what_the_class_reaches(old: str, new: str, same: bool) -> None:
    before, after = modules(BODY)["A"].digest, modules(BODY.replace(old, new))["A"].digest
    assert (before == after) is same


def test_signatures_say_where_annotations_go() -> None:
    head = "from torch import nn\nclass A(nn.Module):\n"
    text = head + "    def forward(self, x, n: int = 2, *rest, k=None):\n        return x\n"
    forward = modules(text)["A"].forward
    assert forward is not None
    assert [(item.name, item.kind, item.annotation, item.default) for item in forward.parameters] == [
        ("x", "positional", None, None),
        ("n", "positional", "int", "2"),
        ("rest", "var_positional", None, None),
        ("k", "keyword", None, "None"),
    ]
    line = text.splitlines()[2]
    assert line[forward.returns_insert.column] == ":"


def test_pragmas_are_read_above_the_class_and_above_forward() -> None:
    text = (
        "from torch import nn\n# ts-shape: init(dim=32)\n# ts-shape: x=(B, 3, 28, 28)\nclass A(nn.Module):\n"
        "    # ts-shape: ignore[script-error]\n    def forward(self, x): return x\n"
        "# ts-shape: nonsense here\nclass B(nn.Module): pass\n"
    )
    found = modules(text)
    assert found["A"].pragmas.init == {"dim": "32"}
    assert found["A"].pragmas.inputs == {"x": "(B, 3, 28, 28)"}
    assert found["A"].pragmas.ignore == {"script-error"}
    assert len(found["B"].pragmas.problems) == 1
