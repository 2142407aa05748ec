"""What never changes is a constant of the class or is decided in its constructor; what may be set later stays."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from repairs import HEADER, Bench, X, check

from ts_shape_server.analysis.rewrites import SIGNATURE


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
