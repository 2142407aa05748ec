"""What scripts and means something else is told at its place: comments ``#  ^^^^ words`` in the sources say where."""

from __future__ import annotations

from typing import Any

import pytest
from expectations import expected_of

from ts_shape_server.agent import script
from ts_shape_server.contract import schema

SECOND = {"second": {"x": {"tensor": [4, 3]}}}


def check(load: Any, source: str, **inputs: Any) -> None:
    """The class scripts, and its traps are exactly those that its comments mark."""
    run, context = load(source, **inputs)
    found = schema.write(script.examine(run, context))["script"]
    assert found["ok"], found["failures"]
    actual = {}
    for failure in found["failures"]:
        assert failure["code"] == "script-trap"
        where = failure["location"]["range"]
        actual[(where["line"], where["column"], where["end_column"])] = failure["message"]
    wanted = {item[:3]: item[3] for item in expected_of(context.source)}
    assert set(actual) == set(wanted), actual
    assert not [(words, actual[place]) for place, words in wanted.items() if words not in actual[place]]


TRAPS = {
    "a function of autograd's own": """
class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, grad):
        return grad


class Net(nn.Module):
    def forward(self, x):
        return Swish.apply(x)
        #      ^^^^^^^^^^^ cannot be saved: `Swish` stays a function of Python
""",
    "a None default": """
class Net(nn.Module):
    def forward(self, x, mask=None):
        #                ^^^^ a Tensor that is never None
        return x if mask is None else x * mask
""",
    "a power of whole numbers": """
class Net(nn.Module):
    def forward(self, x):
        n = x.size(0) ** 2
        #   ^^^^^^^^^^^^^^ `x.size(0) ** 2` is 4.0 in TorchScript, 4 in Python
        return torch.full([2], n)
""",
    "in a class that a function makes": """
def doubled(x):
    return x * 2

def scaled(function):
    class Scaled(nn.Module):
        def forward(self, x):
            y = function(x)
            n = x.size(0) ** 2
            #   ^^^^^^^^^^^^^^ `x.size(0) ** 2` is 4.0 in TorchScript, 4 in Python
            return y.long() * 0 + torch.tensor(n)
    return Scaled

Net = scaled(doubled)
""",
    "a rounded number": """
class Net(nn.Module):
    def forward(self, x):
        return x.sum().long() * 0 + torch.tensor(round(x.shape[1] / 2))
        #                                        ^^^^^^^^^^^^^^^^^^^^^ is 2.0 in TorchScript, 2 in Python
""",
    "in a part, under a condition": """
class Part(nn.Module):
    def forward(self, x):
        if x.dim() == 2:
            x = x * 2
        scale = max(x.size(0), 1.5)
        #       ^^^^^^^^^^^^^^^^^^^ is 2.0 in TorchScript, 2 in Python
        return torch.tensor(scale)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList([nn.ReLU(), Part()])

    def forward(self, x):
        for part in self.parts:
            x = part(x)
        return x
""",
    "another branch in the script": """
class Net(nn.Module):
    def forward(self, x):
        y = x * 2
        if torch.jit.is_scripting(): y = y + 1
#       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ in TorchScript
        return y
""",
    "another way out of the script": """
class Net(nn.Module):
    def forward(self, x):
        y = x * 2
        if torch.jit.is_scripting():
        #  ^^^^^^^^^^^^^^^^^^^^^^^^ all agrees before `torch.jit.is_scripting()`
            return y, x
        else:
            return self.alone(y)

    @torch.jit.unused
    def alone(self, y):
        # type: (Tensor) -> Tensor
        return y
""",
    "a hook of the backward pass": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.fc.register_full_backward_hook(print)
#       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ without the backward hook of `fc`

    def forward(self, x):
        return self.fc(x)
""",
    "a call of its own": """
class Part(nn.Module):
    def __call__(self, x):
    #   ^^^^^^^^ leaves `__call__` of `Part` out
        return super().__call__(x) * 3

    def forward(self, x):
        return x + 1

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = Part()

    def forward(self, x):
        return self.part(x)
""",
    "a decorator": """
import functools

def doubled(function):
    @functools.wraps(function)
    def inner(self, x):
        return function(self, x) * 2
    return inner

class Net(nn.Module):
    @doubled
#    ^^^^^^^ compiles what stands under `@doubled`
    def forward(self, x):
        return x + 1
""",
    "a decorator that takes gradients away": """
class Net(nn.Module):
    @torch.no_grad()
#    ^^^^^^^^^^^^^^^ leaves `@torch.no_grad()` out
    def forward(self, x):
        return x + 1
""",
    "parts that stay in eval mode": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def train(self, mode=True):
    #   ^^^^^ keeps `norm` in eval mode
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x):
        return self.norm(x)
""",
    "a parametrization": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))

    def forward(self, x):
        return self.fc(x)
        #      ^^^^^^^ remove_parametrizations
""",
    "an attribute that a method sets": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.mask = None

    def set_mask(self, mask):
        self.mask = mask

    def forward(self, x):
        if self.mask is not None:
        #  ^^^^^^^^^ what `set_mask` sets later does not reach the script
            x = x * self.mask
        return x
""",
    "a constant that a method sets": """
class Net(nn.Module):
    __constants__ = ["scale"]

    def __init__(self):
        super().__init__()
        self.scale = 2.0

    def warm_up(self, step):
        self.scale = 1.0 / step

    def forward(self, x):
        return x * self.scale
        #          ^^^^^^^^^^ is a constant to TorchScript
""",
}


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_is_told_where_it_is(load: Any, name: str) -> None:
    check(load, TRAPS[name])


def test_a_value_of_another_file_that_somebody_changes_is_frozen(load: Any) -> None:
    source = """
import trap_settings

class Net(nn.Module):
    def forward(self, x):
        return x * trap_settings.scale + trap_settings.bias
        #          ^^^^^^^^^^^^^^^^^^^ is frozen when the class is compiled

def main():
    trap_settings.scale = 3.0
"""
    check(load, source, trap_settings="scale = 2.0\nbias = 1.0")


def test_an_input_that_is_no_tensor_needs_its_annotation(load: Any) -> None:
    source = """
class Net(nn.Module):
    def forward(self, parts):
        #             ^^^^^ annotate `parts: List[Tensor]`
        return parts[0] * 2 + parts[1]
"""
    check(load, source, example={"parts": {"list": [{"tensor": [2, 3]}, {"tensor": [2, 3]}]}})


def test_a_none_default_is_told_with_the_type_that_arrives(load: Any) -> None:
    source = """
class Net(nn.Module):
    def part(self, x, scale=None):
        #             ^^^^^ write `scale: Optional[Tensor] = None`
        return x if scale is None else x * scale

    def forward(self, x):
        return self.part(x, x)
"""
    check(load, source)


ORDINARY = {
    "a decorator of torch's": """
class Net(nn.Module):
    @torch.jit.export
    def other(self, x):
        return x

    def forward(self, x):
        return self.other(x)
""",
    "a train of its own that does what torch's does": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def train(self, mode=True):
        return super().train(mode)

    def forward(self, x):
        return self.norm(x)
""",
    "counts its calls": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * self.calls
""",
    "an optional part that stays away": """
class Net(nn.Module):
    def __init__(self, norm=None):
        super().__init__()
        self.norm = norm
        self.scale = None

    def extra_repr(self):
        self.scale = None
        return ""

    def forward(self, x):
        if self.norm is not None:
            x = self.norm(x)
        return x if self.scale is None else x * self.scale
""",
    "an annotated attribute that a method sets": """
class Net(nn.Module):
    mask: Optional[Tensor]

    def __init__(self):
        super().__init__()
        self.mask = None

    def set_mask(self, mask):
        self.mask = mask

    def forward(self, x):
        mask = self.mask
        return x if mask is None else x * mask
""",
    "a constant that the constructor and a caller set": """
class Net(nn.Module):
    __constants__ = ["scale"]

    def __init__(self):
        super().__init__()
        self.reset(2.0)

    def reset(self, scale):
        self.scale = scale

    def forward(self, x):
        return x * self.scale

def make():
    net = Net()
    net.scale = 3.0
    return net
""",
    "an overloaded forward": """
class Net(nn.Module):
    @torch.jit._overload_method
    def forward(self, x: List[Tensor]) -> Tensor:
        pass

    @torch.jit._overload_method
    def forward(self, x: Tensor) -> Tensor:
        pass

    def forward(self, x):
        return x if isinstance(x, Tensor) else x[0]
""",
    "a call of its own that changes nothing": """
class Net(nn.Module):
    def __call__(self, x):
        return super().__call__(x)

    def forward(self, x):
        return x + 1
""",
    "random numbers": """
class Net(nn.Module):
    def forward(self, x):
        return F.dropout(x, 0.5, True) + torch.rand_like(x)
""",
    "an in-place change of its input": """
class Net(nn.Module):
    def forward(self, x):
        x += 1
        return x
""",
}


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_module_has_no_trap(load: Any, name: str) -> None:
    check(load, ORDINARY[name], **SECOND)
