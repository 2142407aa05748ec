"""What a part of a library documents is what the class takes that passes its input on to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_libraries import CONSUMERS
from probing_helpers import Prober

from ts_shape_server.contract.asked import CallArguments, CallEvidence, ClassAsked

HEAD = "import torch\nfrom torch import nn\n"
NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = {part}
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, {names}):
        return {call}
"""


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    prober = Prober(wall=10.0)
    yield prober
    prober.close()


def report(prober: Prober, folder: Path, source: str) -> Any:
    made = prober.reports(folder, {**CONSUMERS, "net.py": HEAD + source}, "Net", on_report=lambda _: None)["Net"]
    assert made.status == "ok", made.reason
    return made


@pytest.mark.parametrize(
    ("imports", "part", "names", "call", "dims"),
    [
        ("from diffusers.models import Timesteps", "Timesteps()", "t", "self.part(t)", ("B",)),
        (
            "from torchvision.ops import roi_align",
            "nn.Identity()",
            "images, boxes",
            "roi_align(self.conv(images), boxes, 3)",
            ("K", 5),
        ),
        ("from torchaudio.transforms import Spectrogram", "Spectrogram()", "sound", "self.part(sound)", ("B", "T")),
        ("from e3nn.o3 import TensorProduct", "TensorProduct()", "f", "self.part(f, f)", ("B", 10)),
    ],
)
def test_an_input_is_as_what_takes_it_documents(
    prober: Prober, tmp_path: Path, imports: str, part: str, names: str, call: str, dims: tuple[Any, ...]
) -> None:
    source = f"{imports}\n" + NET.format(part=part, names=names, call=call)
    assert report(prober, tmp_path, source).inputs[-1].value.dims == dims


def test_a_detector_takes_a_list_of_images(prober: Prober, tmp_path: Path) -> None:
    source = "from torchvision.models import GeneralizedRCNN\n" + NET.format(
        part="GeneralizedRCNN()", names="images, targets=None", call="self.part(images, targets)"
    )
    images = report(prober, tmp_path, source).inputs[0].value
    assert images.type == "List[Tensor]"
    assert len(images.items[0].dims) == 3


def test_masks_of_attention_are_rows_of_flags(prober: Prober, tmp_path: Path) -> None:
    source = NET.format(
        part="nn.MultiheadAttention(6, 2, batch_first=True)",
        names="x, padding=None, mask=None",
        call="self.part(x, x, x, key_padding_mask=padding, attn_mask=mask)[0]",
    )
    masks = [item.value for item in report(prober, tmp_path, source).inputs[1:]]
    assert [(item.dtype, item.dims) for item in masks] == [("bool", ("B", "L")), ("bool", ("L", "L"))]


def test_a_name_that_holds_something_else_by_then_says_nothing(prober: Prober, tmp_path: Path) -> None:
    source = "from e3nn.o3 import TensorProduct\n" + NET.format(
        part="TensorProduct()", names="f", call="self.part(f, f)"
    ).replace("        return", "        f = f[..., :10]\n        return")
    assert report(prober, tmp_path, source).inputs[0].value.dims[-1] != 10


def test_a_lightning_module_without_a_trainer_scripts_and_traces(prober: Prober, tmp_path: Path) -> None:
    source = "from lightning import LightningModule\n" + NET.replace("nn.Module", "LightningModule").format(
        part="nn.Linear(3, 2)", names="x", call="self.part(x)"
    )
    found = report(prober, tmp_path, source)
    assert (found.torchscript.script.ok, found.torchscript.trace.ok) == (True, True)


def test_no_message_names_a_place_in_memory(prober: Prober, tmp_path: Path) -> None:
    source = "def made(): ...\nclass Net(nn.Module):\n    def forward(self, x):\n        raise ValueError(made, self)\n"
    found = prober.reports(tmp_path, HEAD + source, "Net", on_report=lambda _: None)["Net"]
    assert "function made" in found.reason.message
    assert "0x" not in repr(found)


def test_a_tensor_made_for_a_constructor_is_made_again(prober: Prober, tmp_path: Path) -> None:
    from ts_shape_server.probing.requests import ClassRequest, FileRequest

    source = (
        "class Net(nn.Module):\n"
        "    def __init__(self, table):\n"
        "        super().__init__()\n"
        "        self.register_buffer('table', table * 1)\n"
        "    def forward(self, x):\n"
        "        return x @ self.table\n"
    )
    path = tmp_path / "net.py"
    path.write_text(HEAD + source)
    setup = "table = torch.rand(7, 5).neg()"
    call = CallEvidence("call", str(path), 9, setup, CallArguments(("table",)), label="call net.py:9")
    request = FileRequest(str(path), str(tmp_path), {}, (ClassRequest(ClassAsked("Net", evidence=(call,)), "tensor"),))
    (found,) = prober.run(prober.service.reports(request, lambda _: None))
    assert dict(found.init)["table"].expression == "torch.linspace(0, 1, 35).reshape([7, 5])"
    assert found.inputs[0].value.dims[-1] == 7


STEP = """
from lightning import LightningModule

class Net(LightningModule):
    def __init__(self):
        super().__init__()
        self.part = nn.Linear(7, 3)

    def training_step(self, batch, batch_idx):
        x, y = batch
        return nn.functional.cross_entropy(self.part(x), y)
"""


def test_a_lightning_module_without_forward_is_what_its_training_step_takes(prober: Prober, tmp_path: Path) -> None:
    batch, number = report(prober, tmp_path, STEP).inputs
    assert [(item.dtype, item.dims) for item in batch.value.items] == [("float32", ("B", 7)), ("int64", ("B",))]
    assert number.value.type == "int"


SCALED = """
class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale):
        {kept}
        return x {product}

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.scale, None


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = nn.Linear(5, 5)

    def forward(self, x, scale):
        return Scaled.apply(self.part(x), scale)
"""


@pytest.mark.parametrize(
    ("kept", "product", "kind"),
    [("ctx.scale = scale", "+ 0", "float"), ("ctx.save_for_backward(scale)", "* scale", "Tensor")],
)
def test_what_a_gradient_only_keeps_is_a_number_and_what_it_saves_a_tensor(
    prober: Prober, tmp_path: Path, kept: str, product: str, kind: str
) -> None:
    assert report(prober, tmp_path, SCALED.format(kept=kept, product=product)).inputs[1].value.type == kind


def test_a_backbone_that_was_changed_before_it_is_passed_is_made_so_again(prober: Prober, tmp_path: Path) -> None:
    from ts_shape_server.probing.requests import ClassRequest, FileRequest

    source = (
        "class Back(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.body, self.top = nn.Linear(7, 5), nn.Linear(5, 3)\n"
        "    def forward(self, x):\n"
        "        return self.top(self.body(x))\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, backbone):\n"
        "        super().__init__()\n"
        "        self.backbone, self.head = backbone, nn.Linear(5, 2)\n"
        "    def forward(self, x):\n"
        "        return self.head(self.backbone(x))\n"
    )
    path = tmp_path / "net.py"
    path.write_text(HEAD + source)
    setup = "net = Back()\nnet.top = nn.Identity()"
    call = CallEvidence("constructor", str(path), 20, setup, CallArguments(("net",)), label="call net.py:20")
    request = FileRequest(str(path), str(tmp_path), {}, (ClassRequest(ClassAsked("Net", evidence=(call,)), "changed"),))
    (found,) = prober.run(prober.service.reports(request, lambda _: None))
    expression = dict(found.init)["backbone"].expression
    assert expression == "(lambda net: (setattr(net, 'top', nn.Identity()), net)[-1])(Back())"
    assert found.outputs[0].dims == ("B", 2)
