"""What a repair does to source that TorchScript refuses: each case is tried as the command does, in this process."""

from __future__ import annotations

import asyncio
import linecache
import sys
import textwrap
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from ts_shape_server.agent.context import Context
from ts_shape_server.agent.runs import Run
from ts_shape_server.agent.script import examine, trial
from ts_shape_server.analysis.rewrites import LEAVES, PLAIN, SIGNATURE
from ts_shape_server.model import Argument, Report, TorchScript
from ts_shape_server.probing.requests import Trial
from ts_shape_server.repair import Repaired, repair

HEADER = """\
import math
from typing import Dict, List, Optional

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Variable


"""
X = {"x": {"tensor": [2, 3]}}
SECOND = {"x": {"tensor": [4, 3]}}
IMAGE = {"x": {"tensor": [1, 3, 8, 8]}}


class Bench:
    """One file, loaded from each text in turn: the same path, so that places stay comparable."""

    def __init__(self, path: Path, text: str, example: dict[str, Any], init: dict[str, str]) -> None:
        self.path = path
        self.original = text
        self.example = example
        self.second = SECOND if example is X else None
        self.init = init
        self.report = Report(
            path=str(path),
            name="Net",
            line=1,
            status="ok",
            init=tuple((name, Argument(value, "")) for name, value in init.items()),
            example=example,
            second=self.second,
            torchscript=TorchScript.from_json(examine(self.load(text), self.context(text))),
        )

    def load(self, text: str) -> Run:
        self.path.write_text(text, encoding="utf-8")
        linecache.cache.pop(str(self.path), None)
        module = ModuleType(f"case_{abs(hash(text))}")
        sys.modules[module.__name__] = module
        namespace = vars(module)
        exec(compile(text, str(self.path), "exec", dont_inherit=True), namespace)
        return Run(namespace["Net"], namespace, self.init, self.example, self.second)

    def context(self, text: str) -> Context:
        return Context(str(self.path), str(self.path.parent), text, {}, time.monotonic() + 40)

    async def attempt(self, text: str) -> Trial:
        before = self.load(self.original)
        made = trial(before, self.load(text), self.context(text), self.report.torchscript.to_json())
        return Trial(made["ok"], made["reason"], TorchScript.from_json(made["torchscript"]))

    def repaired(self) -> Repaired:
        return asyncio.run(repair(self.report, self.original, self.attempt, 40))


def check(
    path: Path,
    source: str,
    *present: str,
    depth: int = PLAIN,
    example: dict[str, Any] = X,
    **init: str,
) -> str:
    """The repaired text, which scripts, holds these pieces, and needed no deeper rewrite."""
    text = HEADER + textwrap.dedent(source)
    bench = Bench(path / "net.py", text, example, init)
    assert bench.report.torchscript.script.ok is False, "the case scripts as it stands"
    done = bench.repaired()
    left = [item.message for item in done.state.script.failures]
    assert done.whole, (left, done.titles, done.text[len(HEADER) :])
    assert done.depth == depth, done.titles
    for piece in present:
        assert piece in done.text, done.text[len(HEADER) :]
    return done.text


def test_types_that_the_run_saw_are_written(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def forward(self, x):
                return self.times(x, 2)

            def times(self, x, number):
                for _ in range(number):  # kept
                    x = x + x
                return x
        """
    check(tmp_path, source, "def times(self, x, number: int):", "for _ in range(number):  # kept")


def test_a_default_tells_the_type_in_a_function_that_never_ran(tmp_path: Path) -> None:
    source = """
        def scaled(x, eps=1e-5):
            return x * max(eps, 0.0)

        class Net(nn.Module):
            def __init__(self, scale=0):
                super().__init__()
                self.scale = scale

            def forward(self, x):
                if self.scale > 1:
                    x = scaled(x)
                return x
        """
    check(tmp_path, source, "def scaled(x, eps: float = 1e-5):")


def test_an_int_becomes_the_float_that_an_operator_takes(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def forward(self, x):
                return F.interpolate(x, scale_factor=2)
        """
    check(tmp_path, source, "F.interpolate(x, scale_factor=2.0)", example=IMAGE)


def test_a_layer_is_asked_for_none_and_not_for_its_truth(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.norm = nn.LayerNorm(3)

            def forward(self, x):
                if self.norm:
                    x = self.norm(x)
                return x
        """
    check(tmp_path, source, "if self.norm is not None:")


def test_a_value_that_starts_as_none_is_optional_and_narrowed_where_it_is_needed(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.kinds = ["sum", "mean"]

            def forward(self, x):
                total = None
                for kind in self.kinds:
                    if kind == "sum":
                        part = x.sum()
                    elif kind == "mean":
                        part = x.mean()
                    if total is None:
                        total = part
                    else:
                        total = total + part
                return torch.sigmoid(total)
        """
    check(tmp_path, source, "total: Optional[Tensor] = None", "assert total is not None")


def test_modules_are_enumerated_where_the_loop_counts_them(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])

            def forward(self, x):
                for i in range(len(self.layers)):
                    x = self.layers[i](x) + i
                return x
        """
    check(tmp_path, source, "for i, layer in enumerate(self.layers):", "x = layer(x) + i")


def test_a_module_is_chosen_in_a_method_where_the_index_is_a_value(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.which = 1
                self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])

            def forward(self, x):
                return self.layers[self.which](x)
        """
    check(tmp_path, source, "return self._layers_at(self.which, x)", "for position, module in enumerate(self.layers):")


def test_a_module_is_chosen_in_a_branch_that_never_ran(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self, ups=0):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])
                self.ups = nn.ModuleList([nn.Linear(3, 3) for _ in range(ups)])

            def forward(self, x):
                for i in range(len(self.layers)):
                    x = self.layers[i](x)
                    if len(self.ups) > i:
                        x = self.ups[i](x)
                return x
        """
    check(tmp_path, source, "x = self._ups_at(i, x)", "for i, layer in enumerate(self.layers):")


def test_modules_zipped_with_values_are_enumerated(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])

            def forward(self, x):
                outputs = [x, x + 1]
                total = x
                for output, layer in zip(outputs, self.layers):
                    total = total + layer(output)
                return total
        """
    check(tmp_path, source, "for index, layer in enumerate(self.layers):", "output = outputs[index]")


def test_a_module_without_weights_is_built_once(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 3)

            def forward(self, x):
                softmax = nn.Softmax(dim=1)
                return softmax(self.fc(x))
        """
    text = check(tmp_path, source, "self.softmax = nn.Softmax(dim=1)", "return self.softmax(self.fc(x))")
    assert "                softmax =" not in text


def test_variable_is_taken_out_and_old_constructors_are_spelled_anew(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def forward(self, x):
                zeros = Variable(x.new(x.size(0), 3).zero_())
                weights = torch.Tensor([1.0, 2.0, 3.0])
                return (x + zeros) * weights
        """
    check(tmp_path, source, "zeros = x.new_empty([x.size(0), 3]).zero_()", "torch.tensor([1.0, 2.0, 3.0], dtype=")


def test_private_attributes_are_named_as_python_stores_them(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.__fc = nn.Linear(3, 3)

            def forward(self, x):
                return self.__fc(x)
        """
    check(tmp_path, source, "return self._Net__fc(x)")


def test_a_parents_method_of_this_file_gets_a_name_that_can_be_called(tmp_path: Path) -> None:
    source = """
        class Base(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 3)

            # what all do
            def forward(self, x, times=2):
                return self.fc(x) * times  # kept

        class Middle(Base):
            def forward(self, x):
                return super().forward(x) + 1

        class Net(Middle):
            def forward(self, x):
                return super(Net, self).forward(x) + 1
        """
    text = check(tmp_path, source, "return self._middle_forward(x) + 1", "return self._base_forward(x) + 1")
    assert (
        "# what all do\n    def forward(self, x, times: int = 2):\n        return self._base_forward(x, times)" in text
    )
    assert "def _base_forward(self, x, times: int = 2):\n        return self.fc(x) * times  # kept" in text


def test_none_is_asked_for_with_is(tmp_path: Path) -> None:
    source = """
        def exists(value):
            return value is not None

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.mlp = None
                self.scale = None

            def forward(self, x, bias=None):
                if exists(self.mlp) and exists(bias):
                    x = self.mlp(x)
                if not exists(bias):
                    x = x + 1
                if self.scale != None:
                    x = self.scale(x)
                return x
        """
    pieces = ("if self.mlp is not None and bias is not None:", "if bias is None:", "if self.scale is not None:")
    check(tmp_path, source, *pieces)


def test_a_layer_gets_the_float_that_its_operator_takes(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self, rate=0):
                super().__init__()
                self.parts = nn.Sequential(nn.Linear(3, 3), nn.Dropout(rate), nn.LeakyReLU(0.1))
                self.last = nn.Dropout(p=0)

            def forward(self, x):
                return self.last(self.parts(x))
        """
    check(tmp_path, source, "nn.Dropout(float(rate)), nn.LeakyReLU(0.1)", "nn.Dropout(p=0.0)")


def test_a_function_inside_forward_moves_out_with_what_it_takes_from_there(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def forward(self, x, factor=2):
                # before
                def scaled(value, plus=1):
                    # inside
                    return value * factor + plus

                return scaled(x) + scaled(x, plus=2)
        """
    text = check(tmp_path, source, "self._forward_scaled(x, factor=factor)", "scaled(x, plus=2, factor=factor)")
    assert "    def _forward_scaled(self, value, factor: int, plus: int = 1):\n        # inside\n" in text


def test_a_checkpointed_function_inside_forward_moves_out(tmp_path: Path) -> None:
    source = """
        from torch.utils import checkpoint as cp

        class Net(nn.Module):
            def __init__(self, with_cp=False):
                super().__init__()
                self.fc = nn.Linear(3, 3)
                self.with_cp = with_cp

            def forward(self, x):

                def _inner_forward(x):
                    return x * self.fc(x)

                if self.with_cp and x.requires_grad:
                    out = cp.checkpoint(_inner_forward, x)
                else:
                    out = _inner_forward(x)
                return out
        """
    check(tmp_path, source, "cp.checkpoint(self._forward_inner_forward, x)", "with_cp: Final[bool]")


def test_a_module_that_is_looked_up_by_name_is_found_in_a_method(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                for i in range(2):
                    setattr(self, f"layer{i}", nn.Linear(3, 3))

            def forward(self, x):
                for i in range(2):
                    layer = getattr(self, f"layer{i}")
                    x = layer(x)
                return x
        """
    pieces = ('x = self._module_named(f"layer{i}", x)', "for child_name, module in self.named_children():")
    text = check(tmp_path, source, *pieces)
    assert "getattr" not in text


def test_the_types_of_static_methods_are_written(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            @staticmethod
            def above(x, threshold=0.5):
                return (x > threshold).float()

            def forward(self, x):
                return self.above(x, 0.2)
        """
    check(tmp_path, source, "def above(x, threshold: float = 0.5):")


def test_lambdas_are_methods_or_layers(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self, plain=True):
                super().__init__()
                self.twice = lambda v: v * 2  # of what comes in
                self.act = (lambda v: v) if plain else nn.ReLU()

            def forward(self, x):
                return self.act(self.twice(x))
        """
    text = check(tmp_path, source, "self.act = (nn.Identity()) if plain else nn.ReLU()")
    assert "    def twice(self, v):\n        return v * 2\n\n    def forward" in text
    assert "self.twice = " not in text


def test_a_lambda_that_takes_from_the_constructor_stays(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self, factor=2):
                super().__init__()
                self.scaled = lambda v: v * factor
                self.fc = nn.Linear(3, 3)

            def forward(self, x):
                x = self.scaled(x)
                return self.fc(x)
        """
    text = HEADER + textwrap.dedent(source)
    assert Bench(tmp_path / "net.py", text, X, {}).repaired().text == text


def test_what_sets_attributes_of_tensors_is_said_by_methods(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 3)
                self.register_buffer("mask", torch.ones(3, 3).tril())

            def forward(self, x):
                self.fc.weight.data *= self.mask  # masked
                return self.fc(x)
        """
    check(tmp_path, source, "self.fc.weight.data.mul_(self.mask)  # masked")


def test_tensor_types_and_map_are_spelled_as_torchscript_has_them(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def forward(self, x):
                rows, columns = map(int, x.size())
                doubled = list(map(lambda size: size * 2, x.shape))
                mask = (x > 0).type(torch.FloatTensor)
                return x * mask * rows * columns * doubled[0]
        """
    comprehensions = ("[int(item) for item in x.size()]", "doubled = [item * 2 for item in x.shape]")
    check(tmp_path, source, *comprehensions, '(x > 0).to(torch.device("cpu"), torch.float32)')


def test_a_comprehension_with_a_condition_is_a_loop(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def forward(self, x):
                parts = [x, x + 1]
                large = [part * 2 for part in parts if part.dim() > 1]  # kept
                return large + [part for part in large if part.size(0) > 1 if part.dim() == 2][:1]
        """
    text = check(tmp_path, source, "large: List[Tensor] = []", "large.append(part * 2)  # kept")
    assert "[part for part in large if part.size(0) > 1 if part.dim() == 2]" not in text


def test_a_comprehension_that_is_not_evaluated_first_stays_where_it_is(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def forward(self, x):
                return x.add_(1).sum() + torch.stack([row for row in [x, x] if row.dim() > 1]).sum()
        """
    text = HEADER + textwrap.dedent(source)
    done = Bench(tmp_path / "net.py", text, X, {}).repaired()
    assert "for row in [x, x]:" not in done.text


def test_modules_behind_underscores_are_children(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.Sequential(nn.Linear(3, 3), nn.ReLU())

            def forward(self, x):
                for name, layer in self.layers._modules.items():
                    x = layer(x)
                for layer in self.layers._modules.values():
                    x = layer(x)
                return x
        """
    check(tmp_path, source, "in self.layers.named_children():", "in self.layers.children():")


def test_the_first_parameter_is_called_by_its_name(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self, size=3):
                super().__init__()
                self.size = size
                self.act = nn.ReLU()
                self.lstm = nn.LSTM(size, size, batch_first=True)

            def start(self, batch):
                weight = next(self.parameters()).data
                return weight.new(1, batch, self.size).zero_(), weight.new(1, batch, self.size).zero_()

            def forward(self, x, hidden=None):
                x = self.act(x).unsqueeze(1)
                if hidden is None:
                    hidden = self.start(x.size(0))
                out, hidden = self.lstm(x, hidden)
                return out, hidden
        """
    check(tmp_path, source, "weight = self.lstm.weight_ih_l0.data", "hidden: Optional[Tuple[Tensor, Tensor]] = None")


def test_modules_in_modules_and_starred_sizes_are_unpacked(tmp_path: Path) -> None:
    source = """
        class Attention(nn.Module):
            def __init__(self, dim, heads=2):
                super().__init__()
                self.heads = heads
                self.to_qkv = nn.Linear(dim, dim * 3, bias=False)

            def forward(self, x):
                b, n, _, h = *x.shape, self.heads  # sizes
                parts = self.to_qkv(x).chunk(3, dim=-1)
                q, k, v = map(lambda t: t.reshape(b, n, h, -1).transpose(1, 2), parts)
                weights = torch.einsum("bhid,bhjd->bhij", q, k).softmax(dim=-1)
                return torch.einsum("bhij,bhjd->bhid", weights, v).transpose(1, 2).reshape(b, n, -1)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.ModuleList([Attention(4), nn.Linear(4, 4)]) for _ in range(2)])

            def forward(self, x):
                for attention, feed in self.layers:
                    x = attention(x) + x
                    x = feed(x) + x
                return x
        """
    pieces = ("b, n, _ = x.shape\n        h = self.heads  # sizes", "x = layer[0](x) + x", "x = layer[1](x) + x")
    check(tmp_path, source, *pieces, example={"x": {"tensor": [2, 5, 4]}})


def test_the_parents_forward_is_written_out(tmp_path: Path) -> None:
    source = """
        class Net(nn.Linear):
            def __init__(self):
                super().__init__(3, 3)

            def forward(self, x):
                return super().forward(x) + 1
        """
    check(tmp_path, source, "functional.linear(x, self.weight, self.bias) + 1")


def test_a_bool_attribute_that_decides_a_type_is_final(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self, both=False):
                super().__init__()
                self.both = both

            def forward(self, x):
                if self.both:
                    return x, x
                return x
        """
    check(tmp_path, source, "both: Final[bool]")


def test_a_comparison_that_decides_a_type_is_made_in_the_constructor(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self, mode="one"):
                super().__init__()
                self.mode = mode

            def forward(self, x):
                if self.mode == "two":
                    return x, x
                return x
        """
    check(tmp_path, source, 'self._mode_two = self.mode == "two"', "if self._mode_two:", depth=SIGNATURE)


def test_a_global_number_is_a_constant_of_the_class(tmp_path: Path) -> None:
    source = """
        SCALE = 3.0

        class Net(nn.Module):
            def forward(self, x):
                return x * SCALE
        """
    check(tmp_path, source, "SCALE: Final[float] = SCALE", "return x * self.SCALE")


def test_what_stars_take_is_named(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def forward(self, x, **options):
                return self.add(x, x)

            def add(self, *parts):
                return parts[0] + parts[1]
        """
    check(tmp_path, source, "def forward(self, x):", "def add(self, part_1: Tensor, part_2: Tensor):", depth=SIGNATURE)


def test_the_inputs_that_stars_took_still_arrive(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 3)

            def forward(self, *args, **kwargs):
                return self.fc(*args, **kwargs)
        """
    inputs = {"*args": {"tuple": [{"tensor": [2, 3]}]}}
    check(tmp_path, source, "def forward(self, arg_1: Tensor):", "self.fc(arg_1)", depth=SIGNATURE, example=inputs)


def test_what_python_alone_can_do_is_left_to_it_last(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 3)

            def forward(self, x):
                x = self.fc(x)
                x = torch.from_numpy(np.sort(x.numpy()))  # moved
                return self.fc(x)
        """
    text = check(tmp_path, source, "@torch.jit.ignore", "def _python_part(self, x: Tensor) -> Tensor:", depth=LEAVES)
    assert text.count("# moved") == 1
    assert "x = self._python_part(x)\n        return self.fc(x)" in text


def test_a_branch_that_never_ran_is_left_unused_so_that_the_module_can_be_saved(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self, slow=0):
                super().__init__()
                self.slow = slow

            def forward(self, x):
                if self.slow > x.size(0):
                    x = torch.from_numpy(np.sort(x.numpy()))
                return x * 2
        """
    check(tmp_path, source, "@torch.jit.unused", depth=LEAVES)


def test_a_repair_that_computes_something_else_is_not_made(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def forward(self, x):
                return x + torch.Tensor(list(x.shape)).numel() + np.random.rand()
        """
    text = HEADER + textwrap.dedent(source)
    bench = Bench(tmp_path / "net.py", text, X, {})

    async def other(changed: str) -> Trial:
        return Trial(False, "the change alters the result", TorchScript())

    done = asyncio.run(repair(bench.report, text, other, 20))
    assert (done.text, done.whole, done.titles) == (text, False, ())
