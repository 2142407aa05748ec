"""The `refusals` workspace: modules that run and that TorchScript refuses, each in another way."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ts_shape_server.agent import clock, script
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.runs import Run
from ts_shape_server.contract import schema

WORKSPACE = Path(__file__).parents[2] / "workspaces" / "refusals"
ROWS = {"tensor": [4, 8]}
SEQUENCE = {"tensor": [2, 5, 8]}

Expected = tuple[str, str, str, str]


@pytest.fixture(scope="module")
def refusals() -> Iterator[ModuleType]:
    pytest.importorskip("numpy")
    sys.path.insert(0, str(WORKSPACE))
    try:
        yield importlib.import_module("refusals")
    finally:
        sys.path.remove(str(WORKSPACE))
        for name in ("refusals", "helpers"):
            sys.modules.pop(name, None)


def check(refusals: ModuleType, name: str, example: dict[str, Any], expected: list[Expected]) -> dict[str, Any]:
    """The failures are those of `expected`, in any order: (code, file, source at the place, words)."""
    path = refusals.__file__
    assert path is not None
    run = Run(getattr(refusals, name), vars(refusals), {}, example, None)
    context = Context(path, str(WORKSPACE), Path(path).read_text(), vars(refusals), clock.now() + 30)
    found = schema.write(script.examine(run, context))
    actual = [(item, text_at(item["location"])) for item in found["script"]["failures"]]
    assert len(actual) == len(expected), [item["message"] for item, _ in actual]
    for code, file, source, words in expected:
        assert any(
            (item["code"], Path(item["location"]["path"]).name, text) == (code, file, source)
            and words in item["message"]
            for item, text in actual
        ), (source, [(text, item["message"]) for item, text in actual])
    return found


def text_at(location: dict[str, Any]) -> str:
    """The source at a location, up to the end of its first line."""
    where = location["range"]
    line = Path(location["path"]).read_text().split("\n")[where["line"] - 1]
    return line[where["column"] : where["end_column"] if where["line"] == where["end_line"] else None]


CASES: dict[str, tuple[dict[str, Any], list[Expected]]] = {
    "UntypedNumber": (
        {"x": ROWS},
        [
            ("script-error", "helpers.py", "range(times)", "annotate `times: int`"),
            ("script-error", "refusals.py", "self.block", "annotate `times: int`"),
        ],
    ),
    "IndexedList": (
        {"x": ROWS},
        [
            ("script-error", "refusals.py", "self.norms[i]", "loop over it"),
            ("script-error", "refusals.py", "self.layers[i]", "loop over it"),
        ],
    ),
    "Variadic": ({"x": ROWS, "y": ROWS}, [("script-error", "refusals.py", "parts", "name the 3 values")]),
    "Guarded": ({"x": ROWS}, [("script-error", "refusals.py", "try", "no `try`")]),
    "LeavesTheGraph": (
        {"x": ROWS},
        [
            ("script-error", "refusals.py", "np.arange", "torch equivalent"),
            ("script-error", "refusals.py", "torch.from_numpy", "no operator `from_numpy`"),
            ("script-error", "helpers.py", "x.numpy", "leaves the graph"),
        ],
    ),
    "TwoTypes": ({"x": ROWS}, [("script-error", "refusals.py", "if x.shape[0] > 1000:", "`List[Tensor]` after the")]),
    "Lambda": (
        {"x": ROWS},
        [
            ("script-error", "refusals.py", "self.act", "is a lambda"),
            ("script-error", "refusals.py", "self.seen", "is a Python `list`"),
        ],
    ),
    "Attention": (
        {"x": SEQUENCE, "mask": {"tensor": [2, 5, 5]}},
        [("script-trap", "refusals.py", "mask", "`mask: Optional[Tensor] = None`")],
    ),
    "Encoder": ({"x": SEQUENCE}, [("script-error", "refusals.py", "mask", "`mask: Optional[Tensor]`")]),
    "Frozen": ({"x": ROWS}, []),
    "Collects": (
        {"x": ROWS},
        [
            ("script-error", "refusals.py", "sizes.append", "an empty list is a List[Tensor]"),
            ("script-error", "refusals.py", "x.new", "new_zeros"),
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_refusal_of_the_workspace_is_found(refusals: ModuleType, name: str) -> None:
    check(refusals, name, *CASES[name])


def test_a_refusal_in_a_helper_tells_who_calls_it(refusals: ModuleType) -> None:
    found = check(refusals, "UntypedNumber", *CASES["UntypedNumber"])
    inner = next(item for item in found["script"]["failures"] if item["location"]["path"].endswith("helpers.py"))
    assert [item["message"] for item in inner["related"]] == [
        "the parameter",
        "UntypedNumber.block calls repeat here",
        "UntypedNumber.forward calls UntypedNumber.block here",
    ]


def test_tracing_says_which_branch_it_would_freeze(refusals: ModuleType) -> None:
    found = check(refusals, "Frozen", *CASES["Frozen"])
    assert found["script"]["ok"] and not found["trace"]["ok"]
    assert [text_at(item["location"]) for item in found["trace"]["warnings"]] == ["x.sum() > 0"]
