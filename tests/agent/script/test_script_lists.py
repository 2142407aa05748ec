"""What Python makes of a list in one word is said so that TorchScript can follow."""

from __future__ import annotations

from pathlib import Path

import pytest
from repairs import check

FEW = """
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(3)])
"""
CASES = {
    "a sum of Tensors": (
        "return sum([layer(x) for layer in self.layers])  # kept",
        "return total_of([layer(x) for layer in self.layers])  # kept",
    ),
    "a sum of a generator": ("return sum(layer(x) for layer in self.layers)", "return total_of([layer(x) for layer"),
    "a sum of a tuple": ("return sum((x, x * 2))", "return total_of([x, x * 2])"),
    "a product of sizes": ("return x.view(-1, np.prod(x.size()[1:]))", "x.view(-1, product_of(x.size()[1:]))"),
    "a reduced product": (
        "return x.view(functools.reduce(lambda a, b: a * b, x.shape))",
        "return x.view(product_of(x.shape))",
    ),
    "a returned tuple": (
        "parts = [layer(x) for layer in self.layers]\n        return tuple(parts)",
        "if not torch.jit.is_scripting():\n            return tuple(parts)\n        return parts",
    ),
    "a returned generator": (
        "return x, tuple(layer(x) for layer in self.layers)",
        "if not torch.jit.is_scripting():\n            items = tuple(items)\n        return x, items",
    ),
    "an assigned tuple": (
        "parts = [x, x + 1]\n        parts = tuple(parts)\n        one, two = parts\n        return one + two",
        "if not torch.jit.is_scripting():\n            parts = tuple(parts)",
    ),
    "a tuple of tensors to join": (
        "parts = [layer(x) for layer in self.layers]\n        return torch.cat(tuple(parts), dim=-1)",
        "return torch.cat(parts, dim=-1)",
    ),
    "a passed tuple": ("return x + x.new_zeros(tuple(x.size()))", "return x + x.new_zeros(x.size())"),
    "a product of matrices, one of them sparse": ("return torch.spmm(x, x.t())", "return torch.mm(x, x.t())"),
    "a question for a Tensor": (
        "if not torch.is_tensor(x):\n            raise TypeError()\n        return x * 2",
        "if not isinstance(x, torch.Tensor):",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_made_of_lists_is_spelled_out(tmp_path: Path, name: str) -> None:
    body, expected = CASES[name]
    check(
        tmp_path,
        f"import functools\n\nclass Net(nn.Module):{FEW}\n    def forward(self, x):\n        {body}\n",
        expected,
    )
