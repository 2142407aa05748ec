"""A saved module whose steps are taken in Python computes what TorchScript's own interpreter computes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ts_shape_server.agent.infer.running import symbolic
from ts_shape_server.agent.saved.replay import Archive

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]
_jit: Any = torch.jit


class Conv(nn.Module):
    """Convolutions, norms and pools, with a batch that is read from the input."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.norm = nn.GroupNorm(2, 4)
        self.fc = nn.Linear(4, 5)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(functional.gelu(self.up(self.stem(x))))
        x = functional.adaptive_avg_pool2d(x, 1)
        return self.drop(self.fc(x.view(x.size(0), -1)))


class Twice(nn.Module):
    """One layer that is called two times."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.relu_(self.fc(x)))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + self.inner(x, x, x, need_weights=False)[0])[:, 0]


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 6, padding_idx=0)
        self.lstm = nn.LSTM(6, 7, batch_first=True, bidirectional=True)

    def forward(self, tokens: Tensor) -> Tensor:
        found, (last, _) = self.lstm(self.embedding(tokens))
        return torch.cat([found.mean(1), last[-1]], dim=1)


class Sizes(nn.Module):
    """Arithmetic on sizes, slices and indices."""

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        x = x.view(b, c // 2, 2, h, w).transpose(1, 2).reshape(b, -1, h, w)
        x = x[:, 1:, ::2, None, -3:]
        half = torch.zeros(b, dtype=torch.float64, device=x.device) + float(h) / 2
        return x.sum(dim=(1, 2, 3)).to(torch.float64).mean(1) * half


class Windows(nn.Module):
    """Sizes that a trace keeps as tensors, and divides by constants that it keeps as tensors too."""

    def forward(self, x: Tensor) -> Tensor:
        side = 2
        b, c, h, w = x.shape
        x = x.reshape(b, c, h // side, side, w // side, side).permute(0, 2, 4, 3, 5, 1)
        return x.reshape(b * (h // side) * (w // side), side * side, c).mean(1)


class Control(nn.Module):
    """Loops, branches, containers and texts, which only a script keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.register_buffer("scale", torch.tensor([2.0]))
        self.limit = 3

    def grown(self, x: Tensor, by: Optional[int] = None) -> Tensor:  # noqa: UP045
        return x * self.scale if by is None else x + by

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        kept: list[Tensor] = []
        for step in self.steps:
            x = step(x)
            kept.append(x)
        number = 0
        while number < self.limit and len(kept) < 9:
            kept.append(self.grown(kept[-1], number if number % 2 == 1 else None))
            number += 1
        if x.dim() != 2 or x.dtype == torch.float64:
            raise ValueError(f"expected 2 dims, got {x.dim()}")
        names = {"last": kept[-1], "all": torch.stack(kept)}
        names["first"] = kept[0]
        return names


def check(module: nn.Module, path: Path, inputs: Callable[[int], tuple[Tensor, ...]], traced: bool) -> Archive:
    """The replay of the saved module gives exactly what the module gives, on two sizes."""
    module = module.eval()
    made = _jit.trace(module, inputs(1), check_trace=False) if traced else _jit.script(module)
    made.save(str(path))
    archive = Archive(str(path))
    for number in (2, 3):
        given = inputs(number)
        with torch.no_grad():
            torch.testing.assert_close(archive.instance()(*given), archive.module(*given), rtol=0, atol=0)
    assert archive.refused == set()
    return archive


@pytest.mark.parametrize("traced", [False, True], ids=["scripted", "traced"])
@pytest.mark.parametrize(
    ("module", "inputs"),
    [
        (Conv, lambda number: (torch.rand(number, 3, 8, 10),)),
        (Twice, lambda number: (torch.rand(number, 6),)),
        (Attention, lambda number: (torch.rand(number, 5, 8),)),
        (Recurrent, lambda number: (torch.randint(0, 20, (number, 5)),)),
        (Sizes, lambda number: (torch.rand(number, 4, 6, 7),)),
        (Windows, lambda number: (torch.rand(number, 3, 4 * number, 8),)),
    ],
    ids=["conv", "twice", "attention", "recurrent", "sizes", "windows"],
)
def test_a_replay_computes_what_the_module_computes(
    tmp_path: Path, module: type[nn.Module], inputs: Callable[[int], tuple[Tensor, ...]], traced: bool
) -> None:
    check(module(), tmp_path / "net.pt", inputs, traced)


def test_sizes_of_a_trace_stay_symbols(tmp_path: Path) -> None:
    """The sizes that a trace reads are neither fixed nor read from tensors without memory."""
    _jit.trace(Windows(), torch.rand(1, 3, 4, 8), check_trace=False).save(str(tmp_path / "net.pt"))
    mode = symbolic.new_mode()
    module = Archive(str(tmp_path / "net.pt")).instance()
    sizes, found, error = symbolic.run(mode, [torch.rand(2, 3, 6, 8)], lambda twins, _: module(*twins))
    assert error is None
    assert str(sizes.size(found.shape[0])) == "s0*((s2//2))*((s3//2))"


def test_a_replay_follows_the_control_flow_of_a_script(tmp_path: Path) -> None:
    archive = check(Control(), tmp_path / "net.pt", lambda number: (torch.rand(number, 4),), traced=False)
    with pytest.raises(ValueError, match="expected 2 dims, got 3"):
        archive.instance()(torch.rand(2, 2, 4))


def test_the_layers_of_a_replay_are_those_of_the_class(tmp_path: Path) -> None:
    archive = check(Conv(), tmp_path / "net.pt", lambda number: (torch.rand(number, 3, 8, 10),), traced=False)
    module = archive.instance()
    assert type(module).__name__ == "Conv"
    found = {name: type(part).__name__ for name, part in module.named_modules() if name}
    assert found == {name: type(part).__name__ for name, part in Conv().named_modules() if name}
    assert {name: item.shape for name, item in module.state_dict().items()} == {
        name: item.shape for name, item in Conv().state_dict().items()
    }


class Counter:
    def __init__(self) -> None:
        self.number = 1


class WithObject(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        counter = Counter()
        return x * counter.number


def test_what_cannot_be_replayed_is_named(tmp_path: Path) -> None:
    _jit.script(WithObject()).save(str(tmp_path / "net.pt"))
    archive = Archive(str(tmp_path / "net.pt"))
    with pytest.raises(NotImplementedError):
        archive.instance()(torch.rand(2))
    assert archive.refused == {"prim::CreateObject"}
