"""What the text of a method tells of a local name: the modules that a loop takes it from, the size that it is."""

from __future__ import annotations

import ast

import pytest

from ts_shape_server.analysis.local_names import (
    FromModules,
    FromShape,
    Lines,
    from_modules,
    from_shape,
    is_called,
    made_elsewhere,
    method_at,
    statement_at,
)

TEXT = """class Net:
    def forward(self, x, y):
        for layer in self.layers:
            x = layer(x)
        for number, (first, second) in enumerate(self.pairs):
            x = first(
                second(x),
            )
        for up, down in zip(self.ups, self.net.downs):
            x = up(down(x))
        for item in reversed(self.stack):
            x = item(x)
        b, t, *rest, c = x.shape
        n = y.size(1)
        h, w = y.shape[-2], y.shape[-1]
        twice = y.size(0)
        twice = n * 2
        if b > 1:
            x = self.norm(x)
        return x
"""
TREE = ast.parse(TEXT)


@pytest.mark.parametrize(
    ("name", "line", "expected"),
    [
        ("layer", 4, FromModules("layers", None)),
        ("first", 6, FromModules("pairs", 0)),
        ("second", 7, FromModules("pairs", 1)),
        ("number", 6, None),
        ("up", 10, FromModules("ups", None)),
        ("down", 10, FromModules("net.downs", None)),
        ("item", 12, FromModules("stack", None)),
        ("layer", 6, None),
    ],
)
def test_a_loop_tells_which_modules_a_name_is_taken_from(name: str, line: int, expected: FromModules | None) -> None:
    method = method_at(TREE, line)
    assert method is not None
    assert from_modules(method, name, line) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("b", FromShape("x", 13, 0)),
        ("t", FromShape("x", 13, 1)),
        ("rest", None),
        ("c", FromShape("x", 13, -1)),
        ("n", FromShape("y", 14, 1)),
        ("h", FromShape("y", 15, -2)),
        ("w", FromShape("y", 15, -1)),
        ("twice", None),
        ("x", None),
    ],
)
def test_a_size_is_followed_to_its_tensor(name: str, expected: FromShape | None) -> None:
    method = method_at(TREE, 13)
    assert method is not None
    assert from_shape(method, name) == expected


@pytest.mark.parametrize(("line", "expected"), [(7, Lines(6, 8)), (9, Lines(9, 9)), (18, Lines(18, 18))])
def test_a_statement_has_its_lines_and_one_with_a_block_its_header(line: int, expected: Lines) -> None:
    assert statement_at(TREE, line) == expected


def test_what_is_called_is_told_from_what_is_read() -> None:
    assert is_called(TREE, 19, TEXT.split("\n")[18].index("(x)"))
    assert not is_called(TREE, 3, TEXT.split("\n")[2].index(":"))


def test_what_a_file_makes_of_what_it_imports_is_found() -> None:
    text = "model = Net()\nother = nets.deep.Other(1)\nNet(2)\nlinear = nn.Linear(1, 1)\nhelper()\nOwn()\n"
    imports = {"Net": "net.Net", "nets": "nets", "nn": "torch.nn", "helper": "net.helper"}
    assert made_elsewhere(ast.parse(text), imports) == [(1, 8), (2, 18)]
