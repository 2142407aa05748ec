"""Every refusal of a source is found, each at its own place; comments ``#  ^^^^ words`` in the sources say where."""

from __future__ import annotations

from typing import Any

import pytest
from expectations import expected_of

from ts_shape_server.agent import script


def check(load: Any, source: str, code: str = "script-error", **inputs: Any) -> list[dict[str, Any]]:
    """The failures of `source` are exactly those that its comments mark."""
    run, context = load(source, **inputs)
    found = script.examine(run, context)["script"]
    assert found["ok"] == (code != "script-error" or not expected_of(source))
    actual = []
    for failure in found["failures"]:
        assert failure["code"] == code
        assert len(failure["detail"]) <= 4000
        where = failure["location"]["range"]
        assert failure["location"]["path"] == context.path
        actual.append((where["line"], where["column"], where["end_column"], failure["message"]))
    wanted = expected_of(context.source)
    places = [item[:3] for item in wanted]
    assert sorted(item[:3] for item in actual) == sorted(places), found["failures"]
    for line, start, end, words in wanted:
        message = next(item[3] for item in actual if item[:3] == (line, start, end))
        assert words in message, message
    failures: list[dict[str, Any]] = found["failures"]
    return failures


NUMPY = """
class Net(nn.Module):
    def forward(self, x):
        y = torch.tensor(x.numpy().sum())
        #                ^^^^^^^ no `numpy`
        z = "é" if x is None else "é"; w = x.tolist()
        #                                  ^^^^^^^^ needs a type
        return x + y
"""
UNTYPED = """
def repeat(x, times):
    for _ in range(times):
    #        ^^^^^^^^^^^^ annotate `times: int`
        x = x + 1
    return x

class Net(nn.Module):
    def forward(self, x, scale=2):
    #                    ^^^^^ annotate `scale: int`
        return repeat(x, scale)
"""
LIST = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
        self.act = lambda v: v + 1

    def forward(self, x):
        for index in range(2):
            x = self.layers[index](x)
            #   ^^^^^^^^^^^^^^^^^^ indexed by a literal
        x = self.act(x)
        #   ^^^^^^^^ is a lambda
        return self.act(x)
"""
STATEMENTS = """
class Net(nn.Module):
    def forward(self, x):
        import math
    #   ^^^^^^ an import cannot stand in `forward`
        try:
    #   ^^^ no `try`
            y = x * math.sqrt(2)
        except ValueError:
            y = x
        def inner(v):
    #   ^^^ a function cannot be defined
            return v
        return inner([item for item in [y, x] if item.dim() > 0][0])
        #            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ no `if` in a comprehension
"""
VARIADIC = """
class Net(nn.Module):
    def helper(self, *parts):
        #             ^^^^^ name the 2 values
        return torch.cat(parts)

    def forward(self, x, *, flag: bool = True):
        #                   ^^^^^^^^^^ keyword-only
        return self.helper(x, x)
"""
BRANCHES = """
class Net(nn.Module):
    def forward(self, x):
        if x.dim() == 2:
            r = x
        else:
            r = [x]
        n = 3
        n = x
        #   ^ becomes `Tensor`
        return r, n
"""
ATTRIBUTES = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.cache = []
        self.hidden = None
        self.table = {"a": nn.Linear(3, 3)}

    def forward(self, x):
        self.cache.append(x)
        #^^^^^^^^^ is a Python `list`
        self.hidden = x
        return self.table["a"](x)
        #      ^^^^^^^^^^ is a Python `dict`
"""


@pytest.mark.parametrize("source", [NUMPY, UNTYPED, LIST, STATEMENTS, VARIADIC], ids=range(5))
def test_every_refusal_is_found_where_it_is(load: Any, source: str) -> None:
    check(load, source)


def test_a_constructor_that_works_once_leaves_the_state_unknown(load: Any) -> None:
    source = """
    made = []

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            if made:
                raise RuntimeError("once")
            made.append(self)

        def forward(self, x):
            return x
    """
    run, context = load(source)
    run.build()
    found = script.examine(run, context)
    assert found["script"] == {"ok": None, "failures": []}
    assert found["trace"] == {"ok": None, "warnings": []}
