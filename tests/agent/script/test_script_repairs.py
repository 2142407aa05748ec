"""Types that a run saw are written, stars are named by what they took, and nothing else is computed."""

from __future__ import annotations

import asyncio
import textwrap
from pathlib import Path

import pytest
from repairs import HEADER, IMAGE, Bench, X, check

from ts_shape_server.analysis.rewrites import SIGNATURE
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
