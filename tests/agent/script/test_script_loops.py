"""Loops over a part of the modules, and from the last one to the first, are loops over all in their order."""

from __future__ import annotations

from pathlib import Path

import pytest
from repairs import check

MODULES = """
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(4)])
        self.net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))

"""
CASES = {
    "all but the last": (
        """
        for layer in self.layers[:-1]:  # the first ones
            x = layer(x)

            x = x.relu()
        return self.layers[-1](x)
        """,
        """
        for position, layer in enumerate(self.layers):
            if position < len(self.layers) - 1:  # the first ones
                x = layer(x)

                x = x.relu()
        return""",
    ),
    "counted inner ones": (
        """
        for i, layer in enumerate(self.layers[1:-1]):
            # kept
            x = layer(x) * i
        return x
        """,
        """
            if 1 <= position and position < len(self.layers) - 1:
                i = position - 1
                # kept
                x = layer(x) * i
""",
    ),
    "from the last to the first": (
        """
        parts = []
        for layer in self.layers:
            parts.append(layer(x))
        for i, layer in enumerate(reversed(self.layers)):
            x = layer(x) * i + parts[-1 - i]
        for layer in self.layers[::-1]:
            x = layer(x)
        return x
        """,
        """
        for wanted in range(len(self.layers) - 1, -1, -1):
            for position, layer_21 in enumerate(self.layers):
                if position == wanted:
                    i = len(self.layers) - 1 - wanted
                    x = layer_21(x) * i + parts[-1 - i]
""",
    ),
    "a part that is called": (
        """
        return self.net[1:](self.net[:1](x))
        """,
        "self._part_of_net(self._part_of_net(x, 0, 1), 1, len(self.net))",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_part_of_the_modules_is_told_by_their_places(tmp_path: Path, name: str) -> None:
    body, expected = CASES[name]
    check(tmp_path, f"class Net(nn.Module):{MODULES}    def forward(self, x):{body}", expected)
