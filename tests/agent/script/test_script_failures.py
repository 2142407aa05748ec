"""Every refusal of a source is found, each at its own place; comments ``#  ^^^^ words`` in the sources say where."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from expectations import expected_of

from ts_shape_server.agent import script
from ts_shape_server.agent.infer.constructor.argument_modules import PASSING
from ts_shape_server.agent.script import edits
from ts_shape_server.agent.script.sources import key_of
from ts_shape_server.contract import schema


def check(load: Any, source: str, code: str = "script-error", **inputs: Any) -> list[dict[str, Any]]:
    """The failures of `source` are exactly those that its comments mark."""
    run, context = load(source, **inputs)
    found = schema.write(script.examine(run, context))["script"]
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
KEYS = """
class Net(nn.Module):
    def forward(self, x):
        found = {part.sum().item(): 1 for part in x.unbind()}
        #        ^^^^^^^^^^^^^^^^^ write `int(part.sum().item())` or `float(part.sum().item())`
        texts = {float(x.sum()): 1, float(x.mean()): 2}
        return x * len(found) * len(texts)
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
PARTS = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.add_module("first", nn.Linear(3, 3))

    def forward(self, x):
        for name in ["first"]:
            x = self._modules[name](x)
            #   ^^^^^^^^^^^^^ loop over `self.named_children()`
        return x
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
SPREAD = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x, **options):
        #                  ^^^^^^^ name what arrives as parameters
        y = self.fc(x, **options) * 2
        #                ^^^^^^^ name the arguments
        return self.fc(x, **options) + y
        #                   ^^^^^^^ name the arguments
"""
BRANCHES = """
class Net(nn.Module):
    def forward(self, x):
        s = x if x.dim() == 2 else [x]
        #   ^^^^^^^^^^^^^^^^^^^^^^^^^^ needs one type
        return x
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
    #   ^^^^^^^^^^ is a Python `list`
        self.hidden = x
    #   ^^^^^^^^^^^^^^^ is `None` to TorchScript and gets `Tensor`
        return self.table["a"](x)
    #          ^^^^^^^^^^ is a Python `dict`
"""


@pytest.mark.parametrize(
    "source", [NUMPY, KEYS, UNTYPED, LIST, PARTS, STATEMENTS, VARIADIC, SPREAD, BRANCHES, ATTRIBUTES], ids=range(10)
)
def test_every_refusal_is_found_where_it_is(load: Any, source: str) -> None:
    check(load, source)


RESULT = """
from dataclasses import dataclass

@dataclass
class Resized:
    image: torch.Tensor

class Net(nn.Module):
    def forward(self, x):
    #   ^^^^^^^ `Resized` has a constructor that Python writes itself
        return Resized(x + 1)
"""
STATIC = """
class Act(nn.Module):
    @staticmethod
    def forward(x):
    #   ^^^^^^^ is a static method
        return x * F.softplus(x).tanh()

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = Act()

    def forward(self, x):
        return self.act(x) + 1
"""
FIRST_SET = """
class Net(nn.Module):
    scale = 2.0

    def forward(self, x):
        self.hidden = x * 2
    #   ^^^^^^^^^^^^^^^^^^^ `self.hidden` is first set in `forward`
        return self.hidden * self.scale
        #                    ^^^^^^^^^^ annotate it in the class as `scale: Final[float]`
"""
DEFAULT = """
class Net(nn.Module):
    def forward(self, x, sizes: List[int] = []):
        #                                   ^^ take None and make it in the body
        y = torch.tensor(x.numpy().sum())
        #                ^^^^^^^ no `numpy`
        return y * (len(sizes) + 1)
"""
KINDS = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rank = None
        self.act = torch.relu

    def forward(self, x):
        import math
    #   ^^^^^^ an import cannot stand in `forward`
        total = 0
        for i in range(3):
            total = total + i * 0.5
        #   ^^^^^ let it begin as a float
        if type(x) is tuple:
            #         ^^^^^ test for it with `isinstance`
            x = x[0]
        if self.rank == 0:
        #  ^^^^^^^^^^^^^^ check `is not None` before
            x = x * 2
        if self.act:
        #  ^^^^^^^^ is a function, which TorchScript can only call
            x = self.act(x)
        return x * math.sqrt(total)
"""
HOOKS = """
def before(module, inputs):
#   ^^^^^^ `def before(module, inputs: Tuple[Tensor])`
    return (inputs[0] * 2,)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.fc.register_forward_pre_hook(before)

    def forward(self, x):
        return self.fc(x)
"""
LAMBDA_HOOK = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.fc.register_forward_hook(lambda module, inputs, output: output * 2)
    #   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ a hook that is a lambda

    def forward(self, x):
        return self.fc(x)
"""
PYTHON_TYPES = """
class Net(nn.Module):
    def forward(self, x):
        y = torch.zeros(3, dtype=int)
        #                        ^^^ name a dtype, as in `torch.int64`
        return x.to(float) + y
        #           ^^^^^ `float` is a Python type, which TorchScript can only call
"""
LIBRARY = """
class Net(nn.Module):
    def forward(self, x):
        if torch.cuda.is_available():
        #  ^^^^^^^^^^^^^^^^^^^^^^^^^ cannot compile `is_available`, which is called here
            x = x * 2
        return x
"""
PARALLEL = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.DataParallel(nn.Linear(3, 3))
    #   ^^^^^^^ script the module inside of it

    def forward(self, x):
        return self.fc(x)
"""
ARGUMENTS = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = None
        self.fc = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3))
    #   ^^^^^^^ take it out before

    def forward(self, x):
        y = F.pad(x, [1, 1], "constant", 0)
        #   ^^^^^ make it a float
        z = F.interpolate(x[None], scale_factor=2)
        #   ^^^^^^^^^^^^^ for `scale_factor` in TorchScript, and gets an `int`: write it as a float
        if x.dim() > 7:
            raise NotImplemented
        #   ^^^^^^^^^^^^^^^^^^^^ raise `NotImplementedError`
        for part in [x, y]:
    #   ^^^ set a flag
            if part.dim() > 9:
                break
        else:
            x = x + 1
        return self.fc(x), y, z
"""
EARLY_RETURN = """
class Net(nn.Module):
    def forward(self, x, flag: bool = True):
        if not flag:
            return x * 2
        with torch.no_grad():
    #   ^^^^^^^^^^^^^^^^^^^^ return once
            y = torch.tensor(x.numpy().sum())
            #                ^^^^^^^ no `numpy`
        return y
"""
NO_ARGUMENTS = """
class Net(nn.Module):
    def forward(self, x, *rest):
        #                 ^^^^ has no type
        if len(rest) > 0:
            x = x + rest[0]
        return x
"""
NUMPY_INSIDE = """
class Net(nn.Module):
    def forward(self, x):
        import numpy as np
    #   ^^^^^^ an import cannot stand in `forward`
        return x * float(np.sqrt(x.shape[1]))
        #                ^^^^^^^ `np.sqrt` calls a `numpy.ufunc`
"""


@pytest.mark.parametrize(
    "source",
    [
        STATIC,
        FIRST_SET,
        DEFAULT,
        KINDS,
        HOOKS,
        LAMBDA_HOOK,
        PYTHON_TYPES,
        LIBRARY,
        PARALLEL,
        ARGUMENTS,
        NUMPY_INSIDE,
        RESULT,
    ],
    ids=range(12),
)
def test_what_has_one_cause_is_told_once_in_words_that_say_what_to_do(load: Any, source: str) -> None:
    if "numpy" in source:
        pytest.importorskip("numpy")
    check(load, source)


def test_a_replaced_statement_inside_of_a_replaced_one_becomes_statements() -> None:
    """A list among statements made torch's parser fail, and that was told as a refusal of the author's source."""
    tree = ast.parse("def f(x):\n    if a:\n        if b:\n            x = 1\n            y = 2\n    return x").body[0]
    assert isinstance(tree, ast.FunctionDef) and isinstance(tree.body[0], ast.If)
    keys = [key_of(tree.body[0]), key_of(tree.body[0].body[0])]
    edits.apply([edits.replaced(key, lambda node: node.body) for key in keys], tree)
    assert [type(item) for item in tree.body] == [ast.Assign, ast.Assign, ast.Return]


def test_of_a_module_of_ours_nothing_is_told(load: Any) -> None:
    source = """
    class Net(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x)
    """
    run, context = load(source, init={"layer": PASSING})
    found = schema.write(script.examine(run, context))
    assert found["script"] == {"ok": None, "failures": []}
    assert found["trace"] == {"ok": None, "warnings": []}


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
    found = schema.write(script.examine(run, context))
    assert found["script"] == {"ok": None, "failures": []}
    assert found["trace"] == {"ok": None, "warnings": []}


ONE_DEFAULT = """
class Inner(nn.Module):
    def forward(self, x, mask=None):
    #                    ^^^^ annotate `mask: Optional[Tensor]`
        return x if mask is None else x * mask

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Inner()

    def forward(self, x):
        return self.inner(x)
"""
TWO_DEFAULTS = ONE_DEFAULT.replace("x, mask=None", "x, bias=None, mask=None").replace("mask: Opt", "bias: Opt")
LAYER = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0))
    #   ^^^^^^^^^ `dropout` takes a `float`

    def forward(self, x):
        return self.body(x)
"""
HOOK = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.utils.spectral_norm(nn.Linear(3, 3)), nn.ReLU())
    #   ^^^^^^^^^ a `SpectralNorm` hook cannot be compiled

    def forward(self, x):
        return self.body(x)
"""


@pytest.mark.parametrize("source", [ONE_DEFAULT, TWO_DEFAULTS, LAYER, HOOK], ids=range(4))
def test_a_refusal_for_which_torch_names_no_place_of_the_users_is_found_by_trying(load: Any, source: str) -> None:
    (failure,) = check(load, source)
    named = 'File "' in failure["detail"]
    assert not named or failure["related"][0]["path"].endswith("dropout.py"), failure


def test_all_parameters_that_only_together_repair_are_named(load: Any) -> None:
    (failure,) = check(load, TWO_DEFAULTS)
    assert "`bias`" in failure["message"] and "`mask`" in failure["message"]


@pytest.mark.parametrize("source", [EARLY_RETURN, NO_ARGUMENTS], ids=range(2))
def test_what_an_edit_of_ours_brings_or_torch_cannot_place_hides_no_other_refusal(load: Any, source: str) -> None:
    check(load, source)
