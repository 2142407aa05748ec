"""What a function gives and takes, and what a class holds, is written down where TorchScript asks for one type."""

from __future__ import annotations

from pathlib import Path

import pytest
from repairs import check

from ts_shape_server.analysis.rewrites import PLAIN, SIGNATURE

CASES = {
    "a result that depends on the mode": (
        "if self.training:\n            return x, x * 2\n        return x  # kept",
        "def forward(self, x) -> Union[Tuple[Tensor, Tensor], Tensor]:",
    ),
    "a result that an expression chooses": (
        "y = x * 2\n        return [x] if self.training else (y, [x])  # both",
        "-> Union[List[Tensor], Tuple[Tensor, List[Tensor]]]:",
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
    "an attribute that something asks for": (
        "self.size = x.size()\n        return self.fc(x)\n\n    def flops(self):\n"
        '        return self.size[0] if hasattr(self, "size") else 0',
        "if not torch.jit.is_scripting():\n            self.size = x.size()\n",
    ),
    "a parameter that may be None": (
        "return self.scaled(x, 2, x)\n\n    def scaled(self, x, times, by=None):\n        if by is None:\n"
        "            by = x * 3\n        return x * times * by",
        "def scaled(self, x, times: int, by: Optional[Tensor] = None):",
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
    depth = SIGNATURE if name.startswith("a result") else PLAIN
    check(tmp_path, f"{HEAD}{body}\n", expected, depth=depth)
