"""What only Python can do is left to Python last, and only where it ran and the class scripts then."""

from __future__ import annotations

import textwrap
from pathlib import Path

from repairs import HEADER, Bench, X, check

from ts_shape_server.analysis.rewrites import LEAVES


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
