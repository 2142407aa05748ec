"""Annotations go in without touching anything else, and the result parses."""

import ast

import pytest

from ts_shape_server.analysis.edits import annotate
from ts_shape_server.analysis.modules import find_classes
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.model import Annotation


def check(text: str, annotations: dict[str, str], expected: str, function: str = "forward") -> None:
    source = SourceText(text)
    classes, _ = find_classes(source)
    wanted = [Annotation("A", function, name, kind, True) for name, kind in annotations.items()]
    edits, problems = annotate(source, classes, wanted)
    assert problems == ()
    result = source.apply(edits)
    assert result == expected
    ast.parse(result)


def net(signature: str, head: str = "import torch\n") -> str:
    return f"{head}class A(torch.nn.Module):\n    def forward({signature}:  # kept\n        return x\n"


@pytest.mark.parametrize(
    ("before", "annotations", "after"),
    [
        ("self, x, n)", {"n": "int"}, "self, x, n: int)"),
        ("self, x, n=2)", {"n": "int"}, "self, x, n: int = 2)"),
        ("self, x, n = 2)", {"n": "int"}, "self, x, n: int = 2)"),
        ("self, x: int)", {"x": "float"}, "self, x: float)"),
        ("self, x)", {"return": "Tensor"}, "self, x) -> torch.Tensor"),
        ("self, x) -> int", {"return": "float"}, "self, x) -> float"),
        (
            "self,\n            x,  # first\n            n,\n            )",
            {"n": "int"},
            "self,\n            x,  # first\n            n: int,\n            )",
        ),
        ("self, x: 'torch.Tensor', n)", {"x": "Tensor", "n": "int"}, "self, x: 'torch.Tensor', n: int)"),
    ],
)
def test_a_signature_takes(before: str, annotations: dict[str, str], after: str) -> None:
    check(net(before), annotations, net(after))


@pytest.mark.parametrize(
    ("head", "kind", "spelled", "new_head"),
    [
        ("import torch\n", "List[Tensor]", "List[torch.Tensor]", "from typing import List\nimport torch\n"),
        ("import torch\nfrom torch import Tensor\n", "Tensor", "Tensor", "import torch\nfrom torch import Tensor\n"),
        (
            "from typing import List\nimport torch\n",
            "Optional[Tensor]",
            "Optional[torch.Tensor]",
            "from typing import List, Optional\nimport torch\n",
        ),
        ("import typing as t\nimport torch\n", "List[int]", "t.List[int]", "import typing as t\nimport torch\n"),
        (
            "import torch\ndef f(x: list[int]): ...\n",
            "List[int]",
            "list[int]",
            "import torch\ndef f(x: list[int]): ...\n",
        ),
        (
            '"""Doc."""\nfrom __future__ import annotations\n\nimport torch\n',
            "Dict[str, Tensor]",
            "Dict[str, torch.Tensor]",
            '"""Doc."""\nfrom __future__ import annotations\n\nfrom typing import Dict\nimport torch\n',
        ),
    ],
)
def test_types_are_spelled_in_the_files_own_style(head: str, kind: str, spelled: str, new_head: str) -> None:
    check(net("self, x)", head), {"x": kind}, net(f"self, x: {spelled})", new_head))


def test_a_type_that_is_there_already_gives_no_edit() -> None:
    text = net("self, x: torch.Tensor | None)")
    check(text, {"x": "Optional[Tensor]"}, text)


def test_line_ends_stay_what_they_are() -> None:
    text = net("self, x)").replace("\n", "\r\n")
    check(text, {"x": "List[int]"}, "from typing import List\r\n" + text.replace("x):", "x: List[int]):"))


def test_an_attribute_is_annotated_where_it_is_made() -> None:
    text = "import torch\nclass A(torch.nn.Module):\n    def __init__(self):\n        self.xs = []\n"
    check(
        text, {"xs": "List[int]"}, "from typing import List\n" + text.replace("self.xs =", "self.xs: List[int] ="), ""
    )
