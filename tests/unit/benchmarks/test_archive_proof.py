"""A difference is the saved module's own where calls show both reports right and the two sides apart."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.archives import proof
from benchmarks.archives.saving import called, saved
from ts_shape_server.contract import schema
from ts_shape_server.contract.report import Report

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]


class Checked(torch.nn.Module):
    """A trace loses the check and keeps the rest."""

    def forward(self, x: Any) -> Any:
        if x.shape[1] != 8:
            raise ValueError("eight, please")
        return x * 2


class Auxiliary(torch.nn.Module):
    """Scripted it gives a pair."""

    def forward(self, x: Any) -> Any:
        if torch.jit.is_scripting():
            return x, None
        return x


def report(name: str, dims: list[Any], symbols: dict[str, Any], outputs: list[Any]) -> Report:
    made = {
        "path": "net.py",
        "class": name,
        "line": 1,
        "status": "ok",
        "inputs": [{"name": "x", "type": "Tensor", "dtype": "float32", "dims": dims}],
        "example": {"x": {"tensor": [2, 8], "dtype": "float32"}},
        "symbols": {"B": {"min": 1, "max": None}, **symbols},
        "constraints": [],
        "outputs": outputs,
    }
    return schema.read(Report, made)


def tensor(*dims: Any) -> dict[str, Any]:
    return {"type": "Tensor", "dtype": "float32", "dims": list(dims)}


FREE = {"L": {"min": 1, "max": None}}
FIXED = report("Checked", ["B", 8], {}, [tensor("B", 8)])
WIDE = report("Checked", ["B", "L"], FREE, [tensor("B", "L")])
NONE = {"type": "None"}


def check(module: Any, method: str, archive: Report, source: Report, words: str, folder: Any) -> None:
    made = saved(module.eval(), {"sizes": [8], "folder": str(folder)})
    calls = proof.calls(archive, source)
    assert calls
    told = called(module, made[method], calls, 20)
    found = proof.own_difference(archive, source, list(zip(calls, told, strict=True)))
    assert words in found if words else not found


def test_what_a_trace_has_lost_is_its_own(tmp_path: Any) -> None:
    check(Checked(), "trace", WIDE, FIXED, "which the class refuses: ValueError: eight, please", tmp_path)


def test_what_a_scripted_module_gives_besides_is_its_own(tmp_path: Any) -> None:
    pair = report("Auxiliary", ["B", "L"], FREE, [tensor("B", "L"), NONE])
    check(Auxiliary(), "script", pair, WIDE, "it gives (Tensor (2, 8), None) for Tensor (2, 8)", tmp_path)


@pytest.mark.parametrize(
    ("archive", "source"),
    [
        (FIXED, FIXED),
        (report("Checked", ["B", "L"], {"L": {"min": 4, "max": None}}, [tensor("B", "L")]), FIXED),
        (report("Checked", ["B", "L"], FREE, [tensor("B", 8)]), FIXED),
        (WIDE, WIDE),
    ],
    ids=["too narrow", "a wrong minimum", "a wrong output", "wrong of the class"],
)
def test_a_report_that_is_wrong_of_its_own_side_proves_nothing(archive: Report, source: Report, tmp_path: Any) -> None:
    check(Checked(), "trace", archive, source, "", tmp_path)


def test_sides_that_do_the_same_prove_nothing(tmp_path: Any) -> None:
    check(Auxiliary(), "trace", WIDE, WIDE, "", tmp_path)
