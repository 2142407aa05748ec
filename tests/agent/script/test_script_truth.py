"""What is asked for its truth is asked for None or for its length, and is true where it was."""

from __future__ import annotations

from pathlib import Path

from repairs import check


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
