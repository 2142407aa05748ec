"""What a repair does to source that TorchScript refuses: types, modules, branches and parts that stay in Python."""

from __future__ import annotations

import asyncio
import textwrap
from pathlib import Path

import pytest
from repairs import HEADER, IMAGE, Bench, X, check

from ts_shape_server.analysis.rewrites import LEAVES, SIGNATURE
from ts_shape_server.contract.report import TorchScript
from ts_shape_server.probing.requests import Trial
from ts_shape_server.repair import repair


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
    text = check(tmp_path, source, "for index, layer in enumerate(self.layers):")
    assert "if index < len(outputs):\n" in text
    assert "    output = outputs[index]\n" in text


def test_a_comprehension_over_modules_and_values_is_a_loop_that_ends_with_the_shorter(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(3)])

            def forward(self, x):
                parts = [x, x + 1]
                layer = 2
                return layer * torch.stack([layer(part) for part, layer in zip(parts, self.layers)])
        """
    check(tmp_path, source, "items: List[Tensor] = []", "if index < len(parts):", "torch.stack(items)")


def test_modules_zipped_with_what_came_before_from_its_end_are_enumerated(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.down = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])
                self.up = nn.ModuleList([nn.Linear(6, 3) for _ in range(2)])

            def forward(self, x):
                skips = []
                for layer in self.down:
                    x = layer(x)
                    skips.append(x)
                for layer, skip in zip(self.up, reversed(skips)):  # the deepest first
                    x = layer(torch.cat([x, skip], 1))
                return x
        """
    pieces = ("skip_list = skips[::-1]\n", "in enumerate(self.up):  # the deepest first", "skip = skip_list[index]\n")
    check(tmp_path, source, *pieces)


def test_a_list_from_its_end_is_a_slice(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def forward(self, x):
                rows = [x, x + 1, x + 2]
                for number, row in enumerate(reversed(rows)):
                    x = x + number * row
                return x
        """
    check(tmp_path, source, "enumerate(rows[::-1])")


def test_methods_that_are_made_for_several_classes_have_the_same_name(tmp_path: Path) -> None:
    source = """
        class Other(nn.Module):
            def _layers_at(self, index):
                return index

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])

            def forward(self, x):
                for number in range(4):
                    x = self.layers[number % 2](x)
                return x
        """
    check(tmp_path, source, "self._layers_at(number % 2, x)")
    heir = source.replace("class Net(nn.Module)", "class Net(Other)")
    check(tmp_path, heir, "self._layers_at_2(number % 2, x)")


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


@pytest.mark.parametrize("lookup", ['getattr(self, f"layer{i}")', 'self._modules[f"layer{i}"]'])
def test_a_module_that_is_looked_up_by_name_is_found_in_a_method(tmp_path: Path, lookup: str) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                for i in range(2):
                    setattr(self, f"layer{i}", nn.Linear(3, 3))

            def forward(self, x):
                for i in range(2):
                    layer = LOOKUP
                    x = layer(x)
                return x
        """.replace("LOOKUP", lookup)
    pieces = ('x = self._module_named(f"layer{i}", x)', "for child_name, module in self.named_children():")
    text = check(tmp_path, source, *pieces)
    assert lookup not in text


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
    check(tmp_path, source, 'self._mode_is_two = self.mode == "two"', "if self._mode_is_two:", depth=SIGNATURE)


@pytest.mark.parametrize(
    "statement", ["self.__dict__.update(given)", "vars(self).update(given)", "object.__setattr__(self, *given)"]
)
def test_a_comparison_of_what_may_be_set_later_stays(tmp_path: Path, statement: str) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self, mode="one"):
                super().__init__()
                self.mode = mode

            def change(self, given):
                STATEMENT

            def forward(self, x):
                if self.mode == "two":
                    return x, x
                return x
        """
    text = HEADER + textwrap.dedent(source.replace("STATEMENT", statement))
    assert "_mode_is_two" not in Bench(tmp_path / "net.py", text, X, {}).repaired().text


def test_what_another_class_sets_by_a_name_is_no_attribute_of_this_one(tmp_path: Path) -> None:
    source = """
        class Other(nn.Module):
            def __init__(self, names):
                super().__init__()
                for name in names:
                    setattr(self, name, 1)


        class Net(nn.Module):
            def __init__(self, depth: int = 1):
                super().__init__()
                self.depth = depth

            def forward(self, x):
                if 1 < self.depth:
                    return x, x
                return x
        """
    check(tmp_path, source, "self._depth_over_1 = 1 < self.depth", "if self._depth_over_1:", depth=SIGNATURE)


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


@pytest.mark.parametrize("parameters", ["*parts", "x, **options"])
def test_a_signature_keeps_its_stars_where_no_call_was_seen(tmp_path: Path, parameters: str) -> None:
    source = f"""
        class Net(nn.Module):
            def forward(self, {parameters}):
                return 2 * {parameters.split(",")[0].strip("*")}{"[0]" if parameters[0] == "*" else ""}
        """
    inputs = {"*parts": {"tuple": [{"tensor": [2, 3]}]}} if parameters[0] == "*" else X
    text = HEADER + textwrap.dedent(source)
    assert Bench(tmp_path / "net.py", text, inputs, {}).repaired().whole
    assert Bench(tmp_path / "net.py", text, inputs, {}, source="solved").repaired().text == text


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


def test_a_call_in_a_condition_of_training_is_left_to_python_alone(tmp_path: Path) -> None:
    source = """
        import random

        class Net(nn.Module):
            def __init__(self, p=0.5):
                super().__init__()
                self.p = p
                self.fc = nn.Linear(3, 3)

            def forward(self, x):
                if self.training and random.random() < self.p:
                    return self.fc(x) * 0
                return self.fc(x)
        """
    part = "def _python_part(self) -> float:\n        return random.random()"
    check(tmp_path, source, part, "if self.training and self._python_part() < self.p:", depth=LEAVES)


def test_a_branch_that_did_not_run_is_not_taken_from_the_script(tmp_path: Path) -> None:
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
    text = HEADER + textwrap.dedent(source)
    done = Bench(tmp_path / "net.py", text, X, {}).repaired()
    assert not done.whole
    assert "@torch.jit" not in done.text


def test_a_value_that_the_next_call_takes_up_is_not_kept_from_the_script(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def forward(self, x):
                if hasattr(self, "last"):
                    x = x + self.last
                self.last = x
                return x * 2
        """
    text = HEADER + textwrap.dedent(source)
    assert "is_scripting" not in Bench(tmp_path / "net.py", text, X, {}).repaired().text


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


def test_an_empty_container_stays_false(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self, depth: int = 1, head: int = 0):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(depth)])
                self.head = nn.Sequential(*[nn.ReLU() for _ in range(head)]) if head > 0 else None

            def forward(self, x):
                if self.layers:
                    x = x * 2.0
                if self.head:
                    x = self.head(x) + 1.0
                return x
        """
    check(tmp_path, source, "if len(self.layers) > 0:", "if self.head is not None and len(self.head) > 0:")


def test_a_container_of_the_files_own_class_stays_false_where_it_is_empty(tmp_path: Path) -> None:
    source = """
        class Blocks(nn.Sequential):
            pass

        class Net(nn.Module):
            def __init__(self, depth: int = 2):
                super().__init__()
                self.blocks = Blocks(*[nn.Linear(3, 3) for _ in range(depth)])

            def forward(self, x):
                if self.blocks:
                    x = self.blocks(x) + 1.0
                return x
        """
    check(tmp_path, source, "if len(self.blocks) > 0:")


def test_a_parameter_that_something_stands_in_for_has_its_type_and_its_truth_is_kept(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def forward(self, x, override=None):
                kind = override if override else "mean"
                if kind == "mean":
                    x = x.mean()
                return x
        """
    check(
        tmp_path, source, "override: Optional[str] = None", 'override if override is not None and override != "" else'
    )


def test_the_truth_of_what_is_not_called_is_asked_beside_none(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.most = None
                self.norm = None

            def forward(self, x):
                if self.most:
                    x = x[:, : self.most]
                if self.norm:
                    x = self.norm(x)
                return x
        """
    nested = "if self.most is not None:\n            if self.most:\n                x = x[:, : self.most]\n        if"
    check(tmp_path, source, nested, "if self.norm is not None:")


def test_nothing_is_left_to_python_where_the_class_does_not_script_after_all(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self, factor=2):
                super().__init__()
                self.scaled = lambda v: v * factor
                factor = factor + 1
                self.fc = nn.Linear(3, 3)

            def forward(self, x, times=1):
                x = torch.from_numpy(np.sort(self.fc(x).numpy())) * times
                x = self.scaled(x)
                return self.fc(x)
        """
    text = HEADER + textwrap.dedent(source)
    done = Bench(tmp_path / "net.py", text, X, {}).repaired()
    assert done.text == text.replace("times=1", "times: int = 1")
