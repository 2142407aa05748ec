"""Reports as the agent makes them, for the tests of what is said about them."""

from __future__ import annotations

from dataclasses import replace

from ts_shape_server.contract.places import Location, Range
from ts_shape_server.contract.report import (
    Annotation,
    Argument,
    Failure,
    InputSpec,
    Layer,
    Report,
    ScriptAttempt,
    Symbol,
    TorchScript,
    ValueSpec,
    Variable,
)


def tensor(*dims: int | str, dtype: str = "float32") -> ValueSpec:
    return ValueSpec("Tensor", dtype, dims)


CNN = Report(
    path="/project/net.py",
    name="SimpleCNN",
    line=4,
    status="ok",
    inputs=(InputSpec("x", tensor("B", 3, "H", "W"), "solved"),),
    example={"x": {"tensor": [2, 3, 28, 28], "dtype": "float32"}},
    second={"x": {"tensor": [3, 3, 29, 29], "dtype": "float32"}},
    symbols=(("B", Symbol()), ("H", Symbol(28, 29)), ("W", Symbol(28, 29))),
    constraints=("16*(H//2)*(W//2) == 3136",),
    outputs=(tensor("B", 10),),
    parameters=31818,
    parameter_bytes=127272,
    layers=(
        Layer("conv", "Conv2d", 7, (("B", 3, "H", "W"),), (("B", 16, "H", "W"),), 448),
        Layer("fc", "Linear", 10, (("B", 3136),), (("B", 10),), 31370),
    ),
    variables=(Variable("x", 13, tensor("B", 16, "H//2", "W//2")), Variable("x", 14, tensor("B", 3136))),
    torchscript=TorchScript(ScriptAttempt(True, archive="agrees"), ScriptAttempt(True)),
)


def failure(code: str, message: str, line: int = 9, path: str = "/project/net.py", kind: str = "") -> Failure:
    """A failure of its own `kind`; where none is given the message stands for it."""
    related = (Location(path, Range(4, 0, 4, 5), "called from here"),)
    return Failure(
        code, message, Location(path, Range(line, 8, line, 20)), "torch's own words", related, kind=kind or message
    )


LISTS = replace(
    CNN,
    name="Dynamic",
    inputs=(InputSpec("x", ValueSpec("List[Tensor]", items=(tensor("L", dtype="int64"),)), "annotation"),),
    init=(("embedding_dim", Argument("32", "call train.py:10")),),
    example={"x": {"list": [{"tensor": [16]}, {"tensor": [16]}]}},
    second=None,
    symbols=(("L", Symbol()),),
    constraints=(),
    outputs=(tensor(2, 5),),
    stubbed=("einops",),
    evidence=("loader mock_dataloader() train.py:14",),
    torchscript=TorchScript(
        ScriptAttempt(
            False, (failure("script-error", "`for` over a Tensor"), failure("script-trap", "`mask` is NoneType"))
        ),
        ScriptAttempt(True, (failure("trace-warning", "a Python value is frozen"),)),
        (
            Annotation("Dynamic", "forward", "x", "List[Tensor]", True),
            Annotation("Dynamic", "forward", "return", "Tensor", False),
        ),
    ),
)

FAILED = replace(
    CNN,
    status="failed",
    reason=failure("shape-mismatch", "`self.conv2` takes 32 channels, 16 arrive"),
    inputs=(),
    outputs=(),
    example={},
    second=None,
    symbols=(),
    constraints=(),
)
