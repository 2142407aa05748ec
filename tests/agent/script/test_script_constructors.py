"""What the constructor settles, so that TorchScript finds it: settings, attributes that are set first in `forward`,
functions that may be None.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from repairs import HEADER, Bench, X, check

from ts_shape_server.analysis.rewrites import SIGNATURE


def test_a_type_by_its_name_stays_the_tensor_that_it_is_to_torchscript(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def forward(self, x):
                dtype = x.data.type()
                return self._grid(3, dtype) + x.type(dtype)

            def _grid(self, n, dtype):
                return torch.arange(1, n + 1).sum().view(1, 1).type(dtype)
        """
    check(tmp_path, source, "def _grid(self, n: int, dtype):")


def test_a_name_that_only_a_branch_that_never_ran_sets_has_a_value_before(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self, deep=0):
                super().__init__()
                self.deep = deep

            def forward(self, x):
                if self.deep > x.size(0):
                    scale = x.mean()
                x = x * 2
                if self.deep > x.size(0):
                    x = x * scale
                return x
        """
    check(tmp_path, source, "scale = torch.empty(0)\n        if self.deep > x.size(0):")


def test_what_forward_reads_of_settings_is_read_in_the_constructor(tmp_path: Path) -> None:
    source = """
        from types import SimpleNamespace

        CFG = SimpleNamespace(MODEL=SimpleNamespace(SCALE=2.0))

        class Block(nn.Module):
            def __init__(self, args):
                super().__init__()
                self.args = args
                self.fc = nn.Linear(args["width"], args["width"], bias=args["bias"])

            def forward(self, x):
                return self.fc(x.view(-1, self.args["width"])) * CFG.MODEL.SCALE  # kept

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.opt = SimpleNamespace(width=3, extra=False)
                self.block = Block({"width": 3, "bias": True, "name": "a"})
                if self.opt.extra:
                    self.more = nn.Linear(3, 3)

            def forward(self, x):
                if self.opt.extra:
                    x = self.more(x)
                return self.block(x)
        """
    pieces = (
        'self._args_width = self.args["width"]',
        "self.fc(x.view(-1, self._args_width)) * self._cfg_model_scale  # kept",
        "self._opt_extra = self.opt.extra\n",
        "if self._opt_extra:",
    )
    check(tmp_path, source, *pieces)


def test_settings_that_forward_sets_stay_where_they_are(tmp_path: Path) -> None:
    source = """
        from types import SimpleNamespace

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.opt = SimpleNamespace(calls=1)

            def forward(self, x):
                self.opt.calls = self.opt.calls + 1
                return x * self.opt.calls
        """
    text = HEADER + textwrap.dedent(source)
    assert "_opt_calls" not in Bench(tmp_path / "net.py", text, X, {}).repaired().text


def test_what_forward_sets_first_has_a_value_from_the_constructor_on(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 3)

            def forward(self, x):
                self.batch = x.size(0)
                self.features = [x]
                self.last = self.fc(x)
                return self.last.view(self.batch, -1)
        """
    pieces = ("        self.batch = 0\n", "self.last = torch.empty(0)", "features: List[Tensor]\n")
    check(tmp_path, source, *pieces)


def test_whether_a_function_is_there_is_decided_in_the_constructor(tmp_path: Path) -> None:
    source = """
        class Block(nn.Module):
            def __init__(self, activation=F.relu):
                super().__init__()
                self.activation = activation

            def forward(self, x):
                if self.activation is not None:
                    x = self.activation(x)
                return x * 2

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.first = Block()
                self.second = Block(activation=None)

            def forward(self, x):
                return self.second(self.first(x))
        """
    pieces = ("_activation_is_not_none: Final[bool]", "self._activation_is_not_none = self.activation is not None")
    check(tmp_path, source, *pieces, depth=SIGNATURE)
