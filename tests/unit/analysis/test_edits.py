"""Annotations go in without touching anything else, in the file's own style, and the result parses."""

from __future__ import annotations

import ast

import pytest

from ts_shape_server.analysis.edits import annotate
from ts_shape_server.analysis.modules import find_classes
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.report import Annotation


def check(text: str, annotations: dict[str, str], expected: str, function: str = "forward", owner: str = "A") -> None:
    source = SourceText(text)
    classes, _ = find_classes(source)
    wanted = [Annotation(owner, function, name, kind, True) for name, kind in annotations.items()]
    edits, problems = annotate(source, classes, wanted)
    assert problems == ()
    result = source.apply(edits)
    assert result == expected
    ast.parse(result)
    again = SourceText(result)
    assert annotate(again, find_classes(again)[0], wanted) == ((), ()), "what is annotated needs no edit"


def check_refused(text: str, annotation: Annotation, words: str) -> None:
    source = SourceText(text)
    edits, problems = annotate(source, find_classes(source)[0], [annotation])
    assert edits == ()
    assert len(problems) == 1
    assert words in problems[0]


def net(signature: str, head: str = "import torch\n") -> str:
    return f"{head}class A(torch.nn.Module):\n    def forward({signature}:  # kept\n        return x\n"


@pytest.mark.parametrize(
    ("before", "annotations", "after"),
    [
        ("self, x, n)", {"n": "int"}, "self, x, n: int)"),
        ("self, x, n=2)", {"n": "int"}, "self, x, n: int = 2)"),
        ("self, x, n = 2)", {"n": "int"}, "self, x, n: int = 2)"),
        ("self, x, n= 2)", {"n": "int"}, "self, x, n: int = 2)"),
        ("self, x: int)", {"x": "float"}, "self, x: float)"),
        ("self, x: int=2)", {"x": "float"}, "self, x: float=2)"),
        ("self, x)", {"return": "Tensor"}, "self, x) -> torch.Tensor"),
        ("self, x)", {"x": "int", "return": "int"}, "self, x: int) -> int"),
        ("self, x) -> int", {"return": "float"}, "self, x) -> float"),
        ("self, x) -> 'int'", {"return": "float"}, "self, x) -> float"),
        ("self, x) ", {"return": "None"}, "self, x) -> None "),
        ("self, x, *, n=None)", {"n": "Tensor"}, "self, x, *, n: Optional[torch.Tensor] = None)"),
        ("self, x, *rest, n, **others)", {"n": "int"}, "self, x, *rest, n: int, **others)"),
        ("self, x, /, n)", {"n": "int"}, "self, x, /, n: int)"),
        ("self, x=')', n='#')", {"return": "str"}, "self, x=')', n='#') -> str"),
        ("self, x=(1, (2,)), n={'a': [1]})", {"return": "str"}, "self, x=(1, (2,)), n={'a': [1]}) -> str"),
        (
            "self,\n            x,  # first (\n            n,\n            )",
            {"n": "int", "return": "int"},
            "self,\n            x,  # first (\n            n: int,\n            ) -> int",
        ),
        (
            "self,\n            x=2,  # first\n            n: str = 'é',\n            )",
            {"x": "int", "n": "bool"},
            "self,\n            x: int = 2,  # first\n            n: bool = 'é',\n            )",
        ),
        ("self, é, n)", {"n": "int"}, "self, é, n: int)"),
        ("self, x: 'torch.Tensor', n)", {"x": "Tensor", "n": "int"}, "self, x: 'torch.Tensor', n: int)"),
    ],
)
def test_a_signature_takes(before: str, annotations: dict[str, str], after: str) -> None:
    head = "from typing import Optional\nimport torch\n" if "Optional" in after else "import torch\n"
    check(net(before, head), annotations, net(after, head))


UNION = "import torch\ndef f(x: int | None): ...\n"
GENERIC = "import torch\ndef f(x: list[int]): ...\n"
CLASH = "class List: pass\n"
NOBODY = "if TYPE_CHECKING:\n    from torch import Tensor\n"


@pytest.mark.parametrize(
    ("head", "kind", "spelled", "new_head"),
    [
        ("import torch\n", "List[Tensor]", "List[torch.Tensor]", "import torch\nfrom typing import List\n"),
        ("import torch\nfrom torch import Tensor\n", "Tensor", "Tensor", None),
        ("import torch\nfrom torch import Tensor as T\n", "List[Tensor]", "List[T]", "from typing import List\n"),
        ("import torch as th\n", "Tensor", "th.Tensor", None),
        ("from torch import nn\n", "Tensor", "Tensor", "from torch import Tensor, nn\n"),
        ("import torch.nn as nn\n", "Tensor", "Tensor", "import torch.nn as nn\nfrom torch import Tensor\n"),
        ("from torch import *\n", "Tensor", "Tensor", "from torch import *\nfrom torch import Tensor\n"),
        (f"import torch.nn\n{NOBODY}", "Tensor", "torch.Tensor", None),
        (f"from torch import nn\n{NOBODY}", "Tensor", "torch.Tensor", f"from torch import nn\nimport torch\n{NOBODY}"),
        ("import torch\n", "torch.device", "torch.device", None),
        ("from torch import nn\n", "torch.device", "torch.device", "from torch import nn\nimport torch\n"),
        ("import typing as t\nimport torch\n", "List[int]", "t.List[int]", None),
        ("from typing import List as L\nimport torch\n", "List[int]", "L[int]", None),
        ("from typing_extensions import List\nimport torch\n", "List[int]", "List[int]", None),
        (GENERIC, "Dict[str, List[int]]", "dict[str, list[int]]", None),
        (UNION, "Optional[int]", "int | None", None),
        (UNION, "Union[int, str]", "int | str", None),
        ("import torch\n", "Tuple[()]", "Tuple[()]", "import torch\nfrom typing import Tuple\n"),
        ("import torch\n", "Tuple[int, Pair]", "Tuple[int, Pair]", "import torch\nfrom typing import Tuple\n"),
        (f"import torch\n{CLASH}", "List[int]", "typing.List[int]", f"import torch\nimport typing\n{CLASH}"),
    ],
)  # fmt: skip
def test_types_are_spelled_in_the_files_own_style(head: str, kind: str, spelled: str, new_head: str | None) -> None:
    if new_head is None:
        new_head = head
    elif not new_head.startswith(("import", "from torch")):
        new_head = head + new_head
    check(net("self, x)", head), {"x": kind}, net(f"self, x: {spelled})", new_head))


@pytest.mark.parametrize(
    ("head", "new_head"),
    [
        ("from typing import List\nimport torch\n", "from typing import List, Optional\nimport torch\n"),
        ("from typing import Union\nimport torch\n", "from typing import Optional, Union\nimport torch\n"),
        ("from typing import Union, List\nimport torch\n", "from typing import Union, List, Optional\nimport torch\n"),
        (
            "from typing import List  # noqa\nimport torch\n",
            "from typing import List, Optional  # noqa\nimport torch\n",
        ),
        ("from typing import (List)\nimport torch\n", "from typing import (List, Optional)\nimport torch\n"),
        (
            "from typing import (\n    Dict,\n    Union,\n)\nimport torch\n",
            "from typing import (\n    Dict,\n    Optional,\n    Union,\n)\nimport torch\n",
        ),
        (
            "from typing import (\n    Dict,\n    List\n)\nimport torch\n",
            "from typing import (\n    Dict,\n    List,\n    Optional\n)\nimport torch\n",
        ),
        ("import os\nimport torch\n", "import os\nfrom typing import Optional\nimport torch\n"),
        ("import os; import torch\n", "import os; import torch\nfrom typing import Optional\n"),
        (
            '"""Doc."""\nfrom __future__ import annotations\n\nimport torch\n\nK = 1\n',
            '"""Doc."""\nfrom __future__ import annotations\n\nimport torch\nfrom typing import Optional\n\nK = 1\n',
        ),
        (
            "import torch\ntry:\n    import numpy\nexcept ImportError:\n    pass\n",
            "import torch\ntry:\n    import numpy\nexcept ImportError:\n    pass\nfrom typing import Optional\n",
        ),
    ],
)
def test_imports_come_after_those_that_are_there(head: str, new_head: str) -> None:
    check(net("self, x)", head), {"x": "Optional[int]"}, net("self, x: Optional[int])", new_head))


@pytest.mark.parametrize(
    ("head", "new_head"),
    [
        ("", "from typing import List\n\n"),
        ("#!/usr/bin/env python\n# A license.\n", "#!/usr/bin/env python\n# A license.\nfrom typing import List\n\n"),
        ('"""Doc."""\n', '"""Doc."""\n\nfrom typing import List\n'),
        ("from __future__ import annotations\n", "from __future__ import annotations\n\nfrom typing import List\n"),
        ("from .base import Base\n", "from .base import Base\nfrom typing import List\n"),
    ],
)
def test_a_file_without_imports_gets_them_above_its_code(head: str, new_head: str) -> None:
    text = "@decorated\nclass A(Base):\n    def forward(self, x): return x\n"
    check(head + text, {"x": "List[int]"}, new_head + text.replace("x)", "x: List[int])"))


def test_a_type_that_is_there_already_gives_no_edit() -> None:
    for written in (
        "torch.Tensor | None",
        "Optional[torch.Tensor]",
        "t.Optional[Tensor]",
        "'Optional[Tensor]'",
        "None|Tensor",
    ):
        head = "import torch\nimport typing as t\nfrom typing import Optional\nfrom torch import Tensor\n"
        text = net(f"self, x: {written})", head)
        check(text, {"x": "Optional[Tensor]"}, text)


def test_line_ends_stay_what_they_are() -> None:
    text = net("self, x)").replace("\n", "\r\n")
    expected = text.replace("x):", "x: List[int]):").replace("torch\r\n", "torch\r\nfrom typing import List\r\n")
    check(text, {"x": "List[int]"}, expected)


def test_functions_overloads_and_properties_are_annotated_where_they_hold() -> None:
    head = "import torch\n@overload\ndef f(x: str): ...\n"
    check(head + "def f(x): return x\n", {"x": "int"}, head + "def f(x: int): return x\n", "f", "")
    head = "class A(B):\n    @property\n"
    tail = "    @size.setter\n    def size(self, value): pass\n"
    check(
        f"{head}    def size(self): return 1\n{tail}",
        {"return": "int"},
        f"{head}    def size(self) -> int: return 1\n{tail}",
        "size",
    )


METHOD = "    def __init__(self):\n        self.xs = []\n"


@pytest.mark.parametrize(
    ("body", "new_body"),
    [
        (METHOD, f"    xs: List[int]\n\n{METHOD}"),
        (f'    """Doc."""\n\n{METHOD}', f'    """Doc."""\n\n    xs: List[int]\n\n{METHOD}'),
        (f"    # About it.\n{METHOD}", f"    xs: List[int]\n\n    # About it.\n{METHOD}"),
        (f"    n: int\n\n{METHOD}", f"    n: int\n    xs: List[int]\n\n{METHOD}"),
        (f"    n = 1\n\n{METHOD}", f"    xs: List[int]\n    n = 1\n\n{METHOD}"),
        (f"    xs: int\n{METHOD}", f"    xs: List[int]\n{METHOD}"),
        (METHOD.replace("xs =", "xs: List[int] ="), f"    xs: List[int]\n\n{METHOD}"),
        ('    """Doc."""\n', '    """Doc."""\n\n    xs: List[int]\n'),
        ('\t"""Doc."""\n\tn: int\n', '\t"""Doc."""\n\tn: int\n\txs: List[int]\n'),
    ],
)
def test_an_attribute_is_annotated_in_the_class_body_where_torchscript_reads_it(body: str, new_body: str) -> None:
    head = "import torch\nfrom typing import List\n\nclass A(torch.nn.Module):\n"
    check(head + body, {"xs": "List[int]"}, head + new_body, "")


def test_what_has_no_place_is_said() -> None:
    text = net("self, x, *rest, **others)")
    check_refused(text, Annotation("B", "forward", "x", "int", True), "`x` of `B.forward` has no place")
    check_refused(text, Annotation("A", "other", "x", "int", True), "`x` of `A.other` has no place")
    check_refused(text, Annotation("A", "forward", "rest", "int", True), "`rest` of `A.forward` has no place")
    check_refused(text, Annotation("A", "forward", "others", "int", True), "`others` of `A.forward` has no place")
    check_refused("class A(B): pass\n", Annotation("A", "", "x", "int", True), "`x` of `A` has no place")
    check_refused("def f(:\n" + text, Annotation("A", "forward", "x", "int", True), "does not parse (line 1")
    check_refused(text, Annotation("A", "forward", "return", "a b", True), "without breaking the file")


def test_two_types_for_one_place_are_said_and_the_first_holds() -> None:
    source = SourceText(net("self, x)"))
    wanted = [Annotation("A", "forward", "x", kind, True) for kind in ("int", "int", "float")]
    edits, problems = annotate(source, find_classes(source)[0], wanted)
    assert source.apply(edits) == net("self, x: int)")
    assert problems == ("`x` of `A.forward` is both int and float",)


def test_attributes_of_a_class_stand_together() -> None:
    source = SourceText("class Net:\n    def forward(self):\n        pass\n")
    wanted = [Annotation("Net", "", name, "int", True) for name in ("first", "second")]
    edits, problems = annotate(source, find_classes(source)[0], wanted)
    assert not problems
    assert source.apply(edits).startswith("class Net:\n    first: int\n    second: int\n\n    def")
