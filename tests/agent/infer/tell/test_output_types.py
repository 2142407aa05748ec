"""What comes out is told by its type, also a dict whose keys are numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from inference_helpers import net, report


@pytest.mark.parametrize(
    ("returned", "type_"),
    [
        ("{'a': x}", "Dict[str, Tensor]"),
        ("{1: x, 2: x}", "Dict[int, Tensor]"),
        ("{x.mean().item(): 1}", "Dict[float, int]"),
        ("{'a': x, 2: x}", "Dict[Any, Tensor]"),
        ("[{3: x}]", "List[Dict[int, Tensor]]"),
    ],
)
def test_a_dict_is_told_with_the_type_of_its_keys(tmp_path: Path, returned: str, type_: str) -> None:
    (output,) = report(tmp_path, net("self.layer = nn.Linear(3, 3)", f"x = self.layer(x); return {returned}"))[
        "outputs"
    ]
    assert output["type"] == type_


def test_an_argument_by_which_no_size_is_told_is_no_symbol(tmp_path: Path) -> None:
    source = """
class Net(nn.Module):
    def __init__(self, width, num_layers):
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(width, width) for _ in range(num_layers))

    def forward(self, x):
        for part in self.parts:
            x = part(x)
        return x
"""
    found = report(tmp_path, source)
    (x,) = found["inputs"]
    assert x["dims"] == ["B", "width"]
    assert set(found["symbols"]) == {"B", "width"}
