"""What a function gives and takes, and what a class holds, is written down where TorchScript asks for one type."""

from __future__ import annotations

from pathlib import Path

import pytest
from repairs import check

CASES = {
    "a result that depends on the mode": (
        "if self.training:\n            return x, x * 2\n        return x  # kept",
        "def forward(self, x) -> Union[Tuple[Tensor, Tensor], Tensor]:",
    ),
    "a result of three types": (
        "if x.dim() == 1:\n            return x\n        if x.dim() == 3:\n            return x, [x]\n"
        '        if x.dim() == 4:\n            return None\n        return {"a": x * 2}',
        "-> Optional[Union[Tensor, Tuple[Tensor, List[Tensor]], Dict[str, Tensor]]]:",
    ),
    "a device or its name": (
        'device = x.device if x.is_cuda else "cpu"\n        return torch.ones(3, device=device) + x',
        'device = x.device if x.is_cuda else torch.device("cpu")',
    ),
    "values of the class": (
        "return x * self.factor + len(self.names)",
        'factor: Final[int] = 3\n    names: Final[List[str]] = ["a", "b"]',
    ),
    "a pair that is first set in forward": (
        "self.pair = (x, x * 2)\n        return self.pair[0] + self.pair[1]",
        "self.pair = (torch.empty(0), torch.empty(0))",
    ),
    "a list as a default": (
        "return self.scaled(x)\n\n    def scaled(self, x, sizes=[1, 2]):\n        for size in sizes:\n"
        "            x = x * size\n        return x",
        "sizes: Optional[List[int]] = None):\n        if sizes is None:\n            sizes = [1, 2]",
    ),
}
HEAD = """
class Net(nn.Module):
    factor = 3
    names = ["a", "b"]

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        """


@pytest.mark.parametrize("name", CASES)
def test_one_type_is_written_where_there_are_several_or_none(tmp_path: Path, name: str) -> None:
    body, expected = CASES[name]
    check(tmp_path, f"{HEAD}{body}\n", expected)
