"""What authors write of their inputs, in annotations, docstrings and comments, is found with its place."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from ts_shape_server.agent.infer.facts import annotated, documented
from ts_shape_server.agent.infer.guesses import shape_text, values
from ts_shape_server.agent.infer.inputs import starting
from ts_shape_server.agent.standins import Inert

HEADER = "import torch\nfrom torch import nn, Tensor\nfrom typing import *\n"
_numbers = itertools.count()


def module(tmp_path: Path, source: str, **names: Any) -> Any:
    """The source as a module; `names` are what it has from packages that are not installed."""
    path = tmp_path / f"written_{next(_numbers)}.py"
    path.write_text(HEADER + textwrap.dedent(source), "utf-8")
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None and specification.loader is not None
    made = importlib.util.module_from_spec(specification)
    vars(made).update(names)
    sys.modules[path.stem] = made
    specification.loader.exec_module(made)
    return made


def check(tmp_path: Path, source: str, expected: dict[str, str], kind: str, **names: Any) -> None:
    found = documented.of(module(tmp_path, source, **names).Net)
    assert {name: shape_text.spelled(item.shape) for name, item in found.items()} == expected
    assert {item.source for item in found.values()} <= {kind}


def documentation(text: str, parameters: str = "x", of_class: str = "") -> str:
    inner = textwrap.indent(text, " " * 8)
    head = f'    """{of_class}"""\n' if of_class else ""
    body = f'        """Forward.\n\n{inner}\n        """\n'
    return f"class Net(nn.Module):\n{head}    def forward(self, {parameters}):\n{body}"


@pytest.mark.parametrize(
    ("text", "parameters", "expected"),
    [
        ("Args:\n    x: Tensor of shape (batch, seq_len, 512)", "x", {"x": "(batch, seq_len, 512)"}),
        (
            "Args:\n    x (torch.Tensor): input, of shape\n        ``(B, T, C)``.\n"
            "    mask (Tensor): shape [B, T, 1].\n\n"
            "Returns:\n    y: (B, C)",
            "x, mask",
            {"x": "(B, T, C)", "mask": "(B, T, 1)"},
        ),
        (
            "Parameters\n----------\nx : torch.Tensor, shape (n_batch, n_time)\n    The input.\n\n"
            "Returns\n-------\ny : Tensor of shape (B, 3)",
            "x, y",
            {"x": "(n_batch, n_time)"},
        ),
        (":param x: the input [batch, 3, h, w]\n:return: (b, c)", "x", {"x": "(batch, 3, h, w)"}),
        ("x (B, T, C)", "x", {"x": "(B, T, C)"}),
        ("x: B x C x H x W", "x", {"x": "(B, C, H, W)"}),
        ("- x: features (N, C)\n- m: (N, L)", "x, m", {"x": "(N, C)", "m": "(N, L)"}),
        ("Input shape: (B, C, H, W)\nOutput shape: (B, K)", "x", {"x": "(B, C, H, W)"}),
        ("The input tensor of shape (B, L) is embedded.", "ids", {"ids": "(B, L)"}),
        ("Args:\n    x (Tensor, optional): what goes in (see, above)", "x", {}),
        ("Returns:\n    x: (B, T)", "x", {}),
        ("Args:\n    xs: (B, T)", "x", {}),
    ],
)
def test_docstrings_of_forward(tmp_path: Path, text: str, parameters: str, expected: dict[str, str]) -> None:
    check(tmp_path, documentation(text, parameters), expected, "docstring")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Net.\n\n    Shape:\n        - Input: :math:`(N, C, H, W)`\n        - Output: (N, K)\n    ",
            {"x": "(N, C, H, W)"},
        ),
        ("Net.\n\n    Shape:\n        - x: (N, 3)\n    ", {"x": "(N, 3)"}),
        ("Net.\n\n    Args:\n        width: size (a, b)\n    ", {}),
    ],
)
def test_docstrings_of_the_class(tmp_path: Path, text: str, expected: dict[str, str]) -> None:
    check(
        tmp_path,
        f'class Net(nn.Module):\n    """{text}"""\n    def forward(self, x): return x\n',
        expected,
        "docstring",
    )


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("def forward(self, x):  # x: (B, C, T)", {"x": "(B, C, T)"}),
        (
            "def forward(self,\n        x,  # (B, C, T)\n        m,  # [B, 1, T]\n    ):",
            {"x": "(B, C, T)", "m": "(B, 1, T)"},
        ),
        ("def forward(self, x):\n        # x.shape = (B, T, 16)", {"x": "(B, T, 16)"}),
        ("def forward(self, x):\n        # ts-shape: x=(B, 3)", {}),
        ("def forward(self, x):\n        y = x\n        # x: (B, 3)", {}),
    ],
)
def test_comments(tmp_path: Path, head: str, expected: dict[str, str]) -> None:
    check(tmp_path, f"class Net(nn.Module):\n    {head}\n        return x\n", expected, "comment")


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("Annotated[Tensor, 'B 3 H W']", "(B, 3, H, W)"),
        ("Annotated[Tensor, ('B', 3)]", "(B, 3)"),
        ("Float[Tensor, 'batch 1 28 28']", "(batch, 1, 28, 28)"),
        ("'Float[Tensor, \"batch seq 8\"]'", "(batch, seq, 8)"),
        ("Optional[Float[Tensor, 'b c']]", "(b, c)"),
        ("Float[Tensor, 'b c'] | None", "(b, c)"),
        ("TensorType['batch', -1, 8, torch.float32]", "(batch, ?, 8)"),
        ("'(B, C, H, W)'", "(B, C, H, W)"),
        ("Annotated[Tensor, 'the input image']", None),
        ("Tensor", None),
        ("'Unknown[Tensor]'", None),
    ],
)
def test_annotations_also_of_packages_that_are_missing(tmp_path: Path, annotation: str, expected: str | None) -> None:
    source = f"class Net(nn.Module):\n    def forward(self, x: {annotation}): return x\n"
    missing = {"Float": Inert("jaxtyping.Float"), "TensorType": Inert("torchtyping.TensorType")}
    check(tmp_path, source, {} if expected is None else {"x": expected}, "annotation", **missing)


def test_a_name_that_is_missing_costs_its_own_parameter(tmp_path: Path) -> None:
    source = "class Net(nn.Module):\n    def forward(self, a: 'Gone', b: 'List[int]'): return a\n"
    types = annotated.of(module(tmp_path, source).Net.forward)
    assert types["b"] == list[int] or str(types["b"]) == "typing.List[int]"


@pytest.mark.parametrize(
    ("definition", "annotation", "expected"),
    [
        ("class In(NamedTuple):\n    a: Tensor\n    n: int", "In", {"a": "TensorGuess", "n": "ConstantGuess"}),
        (
            "import dataclasses\n@dataclasses.dataclass\nclass In:\n    a: Tensor\n    b: Optional[Tensor] = None",
            "In",
            {"a": "TensorGuess"},
        ),
        ("class In(TypedDict):\n    a: Tensor\n    ids: Tensor", "In", {"a": "TensorGuess", "ids": "TensorGuess"}),
        ("", "nn.utils.rnn.PackedSequence", {"data": "TensorGuess"}),
    ],
)
def test_types_with_fields(tmp_path: Path, definition: str, annotation: str, expected: dict[str, str]) -> None:
    made = module(tmp_path, f"{definition}\nclass Net(nn.Module):\n    def forward(self, x: {annotation}): return x\n")
    (guess,), _, _ = starting.first_guess(made.Net, {})
    assert isinstance(guess.guess, (values.RecordGuess, values.DictGuess))
    assert {name: type(item).__name__ for name, item in guess.guess.items} == expected


def test_types_in_a_comment(tmp_path: Path) -> None:
    head = "class Net(nn.Module):\n    def forward(self, x, y):\n"
    source = head + "        # type: (Tensor, List[Tensor]) -> Tensor\n        return x\n"
    (first, second), _, _ = starting.first_guess(module(tmp_path, source).Net, {})
    assert isinstance(first.guess, values.TensorGuess)
    assert isinstance(second.guess, values.SequenceGuess)
