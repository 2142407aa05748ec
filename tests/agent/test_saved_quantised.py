"""Saved modules with quantised layers are solved from what these have packed, and told as their floating forms are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from probing_helpers import Prober
from torch import Tensor, nn

from ts_shape_server.agent.saved import wrapping
from ts_shape_server.probing.requests import Inspection

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]
quantisation: Any = torch.ao.quantization


class Images(nn.Module):
    """Takes 28 × 28, or 29."""

    def __init__(self) -> None:
        super().__init__()
        self.begin, self.end = quantisation.QuantStub(), quantisation.DeQuantStub()
        self.conv, self.fc = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4 * 14 * 14, 10)
        self.sum = torch.ao.nn.quantized.FloatFunctional()

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv(self.begin(image))
        x = nn.functional.max_pool2d(self.sum.add_relu(x, x), 2)
        return self.end(self.fc(torch.flatten(x, 1)))


class Signal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.begin, self.end = quantisation.QuantStub(), quantisation.DeQuantStub()
        self.conv = nn.Conv1d(5, 6, 3, stride=2)

    def forward(self, signal: Tensor) -> Tensor:
        return self.end(self.conv(self.begin(signal)))


class Rows(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.begin, self.end = quantisation.QuantStub(), quantisation.DeQuantStub()
        self.first, self.relu, self.last = nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 4)

    def forward(self, rows: Tensor) -> Tensor:
        return self.end(self.last(self.relu(self.first(self.begin(rows)))))


def converted(module: nn.Module, example: Tensor, fused: list[list[str]]) -> Any:
    module.eval()
    if fused:
        module = quantisation.fuse_modules(module, fused)
    module.qconfig = quantisation.get_default_qconfig(torch.backends.quantized.engine)
    prepared = quantisation.prepare(module)
    prepared(example)
    return quantisation.convert(prepared)


@pytest.mark.parametrize("traced", [False, True], ids=["script", "trace"])
@pytest.mark.parametrize(
    ("module", "example", "fused", "inputs", "output"),
    [
        (Images, (2, 3, 28, 28), [], {"image": ("B", 3, "H", "W")}, ("B", 10)),
        (Signal, (2, 5, 16), [], {"signal": ("B", 5, "L")}, ("B", 6, "(L - 3)//2 + 1")),
        (Rows, (4, 12), [["first", "relu"]], {"rows": ("B", 12)}, ("B", 4)),
    ],
    ids=["images", "signal", "rows"],
)
def test_statically_quantised_modules_are_solved_from_their_packed_weights(
    prober: Prober,
    tmp_path: Path,
    module: type[nn.Module],
    example: tuple[int, ...],
    fused: list[list[str]],
    inputs: dict[str, Any],
    output: tuple[Any, ...],
    traced: bool,
) -> None:
    values = torch.randn(example)
    made = converted(module(), values, fused)
    (torch.jit.trace(made, values) if traced else torch.jit.script(made)).save(str(tmp_path / "net.pt"))
    found: Inspection = prober.run(prober.service.inspect(tmp_path / "net.pt"))
    assert found.report is not None, found.message
    assert {item.name: item.value.dims for item in found.report.inputs} == inputs
    assert found.report.outputs[0].dims == output


def test_the_sizes_that_a_quantised_module_takes_are_those_of_its_equation(prober: Prober, tmp_path: Path) -> None:
    torch.jit.script(converted(Images(), torch.randn(2, 3, 28, 28), [])).save(str(tmp_path / "net.pt"))
    found: Inspection = prober.run(prober.service.inspect(tmp_path / "net.pt"))
    assert found.report is not None
    limits = {name: (item.minimum, item.maximum) for name, item in found.report.symbols}
    assert (limits["H"], limits["W"]) == ((28, 29), (28, 29))


def test_the_recurrent_layer_of_a_dynamically_quantised_module_says_where_its_batch_is(
    prober: Prober, tmp_path: Path
) -> None:
    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.last = nn.LSTM(8, 16), nn.Linear(16, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.layer(x)[0])

    small = quantisation.quantize_dynamic(Steps().eval(), {nn.LSTM, nn.Linear}, dtype=torch.qint8)
    torch.jit.script(small).save(str(tmp_path / "net.pt"))
    found: Inspection = prober.run(prober.service.inspect(tmp_path / "net.pt"))
    assert found.report is not None
    assert {item.name: item.value.dims for item in found.report.inputs} == {"x": ("L", "B", 8)}


@pytest.mark.parametrize(
    "layer",
    [nn.LSTM(6, 8), nn.GRU(6, 8, num_layers=2, bidirectional=True), nn.LSTMCell(6, 8), nn.Linear(6, 8)],
    ids=lambda layer: type(layer).__name__,
)
def test_every_packed_weight_is_counted_once(layer: nn.Module, tmp_path: Path) -> None:
    number = sum(item.numel() for item in layer.parameters())
    packed = quantisation.quantize_dynamic(nn.Sequential(layer).eval(), {type(layer)}, dtype=torch.qint8)
    torch.jit.script(packed).save(str(tmp_path / "packed.pt"))
    assert wrapping.read(str(tmp_path / "packed.pt"), "script").packed[0] == number
