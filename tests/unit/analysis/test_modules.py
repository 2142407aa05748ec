"""Every module class of a file is found with its signatures and layers, and its digest changes with its code alone."""

from __future__ import annotations

import pytest

from ts_shape_server.analysis.modules import ModuleClass, find_classes, is_module_class, module_classes
from ts_shape_server.analysis.text import SourceText

TORCH = "from torch import nn\n"


def modules(text: str) -> dict[str, ModuleClass]:
    classes, _ = find_classes(SourceText(text))
    return {item.name: item for item in module_classes(classes, lambda base: base.resolved == "elsewhere.Known")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import torch.nn as nn\nclass A(nn.Module): pass", ["A"]),
        ("import torch\nclass A(torch.nn.Module): pass", ["A"]),
        ("import torch.nn\nclass A(torch.nn.Module): pass", ["A"]),
        ("import torch as t\nclass A(t.nn.Module): pass", ["A"]),
        ("from torch import nn\nclass A(nn.Module): pass", ["A"]),
        ("from torch.nn import Module as M\nclass A(M): pass", ["A"]),
        ("from torch.nn import *\nclass A(Module): pass", ["A"]),
        ("from torch.nn.modules.conv import _ConvNd\nclass A(_ConvNd): pass", ["A"]),
        ("from torch.nn.modules import loss\nclass A(loss._Loss): pass", ["A"]),
        (TORCH + "class A(nn.Module): pass\nclass B(A): pass\nclass C: pass", ["A", "B"]),
        (TORCH + "class B(A): pass\nclass A(nn.Module): pass", ["B", "A"]),
        (TORCH + "class B(nn.Conv2d): pass", ["B"]),
        (TORCH + "class A(nn.Module):\n  class Inner(nn.Module): pass", ["A", "A.Inner"]),
        (TORCH + "class A:\n  class Base(nn.Module): pass\n  class B(Base): pass", ["A.Base", "A.B"]),
        (TORCH + "class A:\n  class Base(nn.Module): pass\nclass B(A.Base): pass", ["A.Base", "B"]),
        (TORCH + "def make():\n  class Net(nn.Module): pass\n  return Net", ["make.<locals>.Net"]),
        (TORCH + "def f():\n  class A(nn.Module): pass\n  class B(A): pass", ["f.<locals>.A", "f.<locals>.B"]),
        (TORCH + "if True:\n  class A(nn.Module): pass\nelse:\n  class B(nn.Module): pass", ["A", "B"]),
        (TORCH + "try:\n  class A(nn.Module): pass\nexcept E:\n  class B(nn.Module): pass", ["A", "B"]),
        (TORCH + "match x:\n  case 1:\n    class A(nn.Module): pass", ["A"]),
        (TORCH + "with x:\n  for y in z:\n    class A(nn.Module): pass", ["A"]),
        ("try:\n  from torch import nn\nexcept E:\n  nn = None\nclass A(nn.Module): pass", ["A"]),
        (TORCH + "Base = nn.Module\nclass A(Base): pass", ["A"]),
        (TORCH + "class A(nn.Module): pass\nBase = A\nclass B(Base): pass", ["A", "B"]),
        ("from net import Net\nfrom torch import nn\nclass Net(Net, nn.Module): pass", ["Net"]),
        ("from elsewhere import Known\nclass Known(Known): pass", ["Known"]),
        ("from elsewhere import Known\nclass A(Known): pass", ["A"]),
        ("from elsewhere import *\nclass A(Known): pass", ["A"]),
        ("import elsewhere as e\nclass A(e.Known[int]): pass", ["A"]),
        ("from elsewhere import Other\nclass A(Other): pass", []),
        (TORCH + "class A(Base[int], nn.Module): pass", ["A"]),
        (TORCH + "class A(nn.Module, Generic[T], metaclass=M): pass", ["A"]),
        (TORCH + "class A(six.with_metaclass(Meta, nn.Module)): pass", ["A"]),
        ("import pytorch_lightning as pl\nclass A(pl.LightningModule): pass", ["A"]),
        ("import lightning.pytorch as pl\nclass A(pl.LightningModule): pass", ["A"]),
        ("from lightning import LightningModule\nclass A(LightningModule): pass", ["A"]),
        ("import torch\nclass A(torch.jit.ScriptModule): pass", ["A"]),
        ("import torch\nclass F(torch.autograd.Function): pass", []),
        ("import torch\nclass D(torch.utils.data.Dataset): pass", []),
        (TORCH + "class P(nn.Parameter): pass", []),
        (TORCH + "class A(A): pass", []),
        (TORCH + "class A(B): pass\nclass B(A): pass", []),
        ("class A(f(x)): pass\nclass B(x[0]().y): pass", []),
    ],
)
def test_module_classes_are_found_through(text: str, expected: list[str]) -> None:
    assert list(modules(text)) == expected


def test_of_two_classes_of_one_name_each_is_judged_by_itself() -> None:
    text = TORCH + "try:\n  class A(nn.Module): pass\nexcept E:\n  class A(object): pass\nclass B(A): pass\n"
    classes, _ = find_classes(SourceText(text))
    assert [(item.name, item.line) for item in module_classes(classes, lambda base: False)] == [("A", 3), ("B", 6)]
    assert is_module_class(classes, "A", lambda base: False)
    assert not is_module_class(classes, "C", lambda base: True)


def test_only_what_the_file_does_not_tell_is_asked() -> None:
    asked: list[tuple[str, str | None]] = []
    text = (
        "from torch import nn\nfrom .base import Base\nimport abc\nfrom torch.nn.utils import Thing\n"
        "class A(nn.Linear, Base): pass\nclass B(Base): pass\nclass C(abc.ABC, Thing, made()): pass\n"
    )
    classes, _ = find_classes(SourceText(text))
    module_classes(classes, lambda base: bool(asked.append((base.expression, base.resolved))))
    assert asked == [("Base", ".base.Base"), ("Thing", "torch.nn.utils.Thing"), ("made()", None)]


BODY = """from torch import nn
import os
K = 3  # three
def helper():
    return K
class A(nn.Module):
    '''About B.'''
    size = dict(b=2)
    def f(self):
        return helper()  # why
class B(nn.Module):
    text = "# no comment"
    pass
def make(n):
    class Local(B):
        pass
    return Local
"""


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("K = 3  # three", "K = 3", ""),
        ("  # why", "\n        # because", ""),
        ("return helper()", "return helper()   ", ""),
        ("class B", "\n\n# B\nclass B", ""),
        ("class A", "X = 1\nclass A", ""),
        ("    pass\ndef", "    x = 1\ndef", "B make.<locals>.Local"),
        ("# no comment", "# a comment", "B make.<locals>.Local"),
        ("K = 3", "K = 4", "A"),
        ("return K", "return K + 1", "A"),
        ("return helper()", "return helper() + 1", "A"),
        ("b=2", "b=3", "A"),
        ("make(n)", "make(m)", "make.<locals>.Local"),
        ("return Local", "return 2", "make.<locals>.Local"),
        ("from torch import nn", "import torch.nn as nn", "A B make.<locals>.Local"),
        ("import os", "import sys", ""),
        ("class A", "@decorated\nclass A", "A"),
    ],
)
def test_the_digest_changes_with_what_the_class_is_and_reaches(old: str, new: str, changed: str) -> None:
    before, after = modules(BODY), modules(BODY.replace(old, new))
    assert list(before) == list(after)
    assert [name for name in before if before[name].digest != after[name].digest] == changed.split()


def test_signatures_say_where_annotations_go() -> None:
    text = TORCH + "class A(nn.Module):\n    def forward(self, x, n: int = 2, *rest, k=None):\n        return x\n"
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
    assert [line[item.end.column :][:2] for item in forward.parameters] == [", ", " =", ", ", "=N"]


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("def forward(self, x): pass", "x"),
        ("def forward(this, x): pass", "x"),
        ("@staticmethod\n    def forward(x): pass", "x"),
        ("@classmethod\n    def forward(cls, x): pass", "x"),
        ("def forward(*args, **others): pass", "args others"),
        ("def forward(self, x, /, y, *, z): pass", "x y z"),
        ("async def forward(self, x): pass", "x"),
        ("if True:\n        def forward(self, y): pass", "y"),
        ("def forward(self): pass\n    def forward(self, y): pass", "y"),
    ],
)
def test_parameters_are_those_a_caller_gives(code: str, names: str) -> None:
    forward = modules(f"{TORCH}class A(nn.Module):\n    {code}\n")["A"].forward
    assert forward is not None
    assert [item.name for item in forward.parameters] == names.split()


def test_layers_are_what_the_constructor_gives_its_object() -> None:
    text = (
        "class A(nn.Module):\n    def __init__(this, n):\n        this.a, this.b = f(), g()\n"
        "        if n:\n            this.c: int = 1\n        this.add_module('d', f())\n        this.x.y = 1\n"
        "        n.e = 1\n\n    def forward(self, x):\n        self.f = x\n"
    )
    source = SourceText(TORCH + text)
    layers = find_classes(source)[0].classes[0].layers
    assert [(item.name, source.slice(item.range)) for item in layers] == [
        ("a", "this.a"),
        ("b", "this.b"),
        ("c", "this.c"),
        ("d", "'d'"),
    ]


def test_pragmas_are_read_above_the_class_and_above_forward() -> None:
    text = (
        "from torch import nn\n# ts-shape: init(dim=32, act=nn.ReLU)\n# ts-shape: x=(B, 3, 28, 28)\n"
        "# ts-shape: mask=[(L, ) int64, ...]\n@decorated\nclass A(nn.Module):  # ts-shape: ignore\n"
        "    # ts-shape: ignore[script-error, call-mismatch]\n    @decorated\n    def forward(self, x, mask): pass\n"
        "# ts-shape: skip\nclass B(nn.Module): pass\n"
    )
    found = modules(text)
    assert found["A"].pragmas.init == {"dim": "32", "act": "nn.ReLU"}
    assert found["A"].pragmas.inputs == {"x": "(B, 3, 28, 28)", "mask": "[(L, ) int64, ...]"}
    assert found["A"].pragmas.ignore == {"script-error", "call-mismatch", "*"}
    assert (found["A"].pragmas.skip, found["B"].pragmas.skip) == (False, True)


@pytest.mark.parametrize(
    ("pragma", "words"),
    [("nonsense here", "not known"), ("init(3)", "keyword arguments"), ("init(a=)", "keyword"), ("", "not known")],
)
def test_a_pragma_that_cannot_be_read_is_a_problem_with_its_place(pragma: str, words: str) -> None:
    source = SourceText(f"{TORCH}# ts-shape: {pragma}\nclass B(nn.Module): pass\n")
    classes, problems = find_classes(source)
    ((place, message),) = classes.classes[0].pragmas.problems
    assert words in message
    assert problems == (f"line 2: {message}",)
    assert source.slice(place) == source.line(2)


@pytest.mark.parametrize(
    ("pragma", "words"),
    [
        ("y=(B, 10)", "`forward` has no parameter `y`; it has `mask`, `x`."),
        ("x=(B, 10", "`(B, 10` is neither a shape nor a value"),
        ("x=(B, 10)]", "`(B, 10)]` is neither a shape nor a value"),
        ("x=batch of images", "`batch of images` is neither a shape nor a value"),
        ("x=(B, 10) float99", "`float99` is no dtype of torch"),
        ("x=(B, 10) int64", None),
        ("x=(B, *, 10) float8_e5m2", None),
        ("x=[(L,) int64, ...]", None),
        ("x={'image': (B, 3, H // 2, W), 'ids': (B, L) long}", None),
        ("mask=None", None),
        ("x=-1.5", None),
        ("x='mean'", None),
        ("x='the mean (of all) values'", None),
    ],
)
def test_an_input_that_cannot_be_meant_is_a_problem(pragma: str, words: str | None) -> None:
    head = f"{TORCH}# ts-shape: {pragma}\nclass B(nn.Module):\n"
    classes, _ = find_classes(SourceText(f"{head}    def forward(self, x, mask=None): return x\n"))
    problems = [message for _, message in classes.classes[0].pragmas.problems]
    assert [message[: len(words or "")] for message in problems] == ([] if words is None else [words])


def test_an_input_may_be_one_of_all_keyword_arguments() -> None:
    source = f"{TORCH}# ts-shape: mask=(B, 10)\nclass B(nn.Module):\n    def forward(self, x, **others): return x\n"
    classes, _ = find_classes(SourceText(source))
    assert classes.classes[0].pragmas.problems == ()


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("    # ts-shape: x=(B, 3)\n    dim = 3\n    def forward(self, x): return x\n", 3),
        ("    def forward(self, x):\n        # ts-shape: x=(B, 3)\n        return x\n", 4),
        ("    '''\n    # ts-shape: 1\n    '''\n    # ts-shape: x=(B, 3)\n    def forward(self, x): pass\n", None),
        ("    class C(nn.Module):\n        # ts-shape: x=(B, 3)\n        def forward(self, x): pass\n", None),
    ],
)
def test_a_pragma_inside_of_a_class_that_nothing_reads_is_told(body: str, line: int | None) -> None:
    classes, _ = find_classes(SourceText(f"{TORCH}class B(nn.Module):\n{body}"))
    problems = [problem for item in classes.classes for problem in item.pragmas.problems]
    assert [place.line for place, _ in problems] == ([] if line is None else [line])


@pytest.mark.parametrize(
    ("comment", "changes"),
    [("# (B, 3, 8)", True), ("# x: B x C", True), ("# type: (Tensor) -> Tensor", True), ("# plain", False)],
)
def test_a_comment_that_says_a_shape_is_part_of_the_digest(comment: str, changes: bool) -> None:
    text = "import torch.nn as nn\nclass A(nn.Module):\n    def forward(self, x): {}\n        return x\n"
    digests = []
    for end in ("", comment):
        classes, _ = find_classes(SourceText(text.format(end)))
        digests.append(module_classes(classes, lambda reference: False)[0].digest)
    assert (digests[0] != digests[1]) is changes
