"""What a file gives to be scripted, traced or exported, by meaning and not by spelling."""

from __future__ import annotations

import pytest

from ts_shape_server.analysis.script_uses import Purpose, uses


def check(code: str, *expected: tuple[Purpose, str]) -> None:
    """Each use names the class, among the other names that its object may be made by."""
    found = uses("import torch\n" + code)
    for purpose, name in expected:
        assert any(use.purpose == purpose and name in use.names for use in found), found
    if not expected:
        assert found == ()


@pytest.mark.parametrize(
    ("code", "purpose"),
    [
        ("torch.jit.script(Net())\n", "script"),
        ("torch.jit.script(obj=Net(3).eval())\n", "script"),
        ("from torch import jit as j\nmodel = Net()\nmodel.eval()\nj.script(model)\n", "script"),
        ("from torch.jit import trace\ntrace(Net().cuda(), torch.rand(1))\n", "trace"),
        ("torch.jit.trace_module(Net(), {})\n", "trace"),
        ("import torch.onnx\ntorch.onnx.export(Net(), (), 'x.onnx')\n", "export"),
        ("torch.export.export(Net(), ())\n", "export"),
        ("Net().to_torchscript()\n", "script"),
        ("Net().to_torchscript(method='trace')\n", "trace"),
        ("Net.load_from_checkpoint('x').to_torchscript()\n", "script"),
        ("def save(model):\n    torch.jit.script(model)\n\n\nsave(Net())\n", "script"),
        ("def save(kind=Net):\n    torch.jit.script(kind())\n", "script"),
        ("def make():\n    return 1\n\n\nfor each in (Net(), make()):\n    torch.jit.script(each)\n", "script"),
        ("scripted = [torch.jit.script(each) for each in [Net()]]\n", "script"),
        ("torch.jit.script(torch.nn.Sequential(Net()))\n", "script"),
        (
            "class T:\n    def __init__(self):\n        self.n = Net()\n    def go(self):\n"
            "        torch.jit.script(self.n)\n",
            "script",
        ),
        ("class Net(torch.nn.Module):\n    @torch.jit.export\n    def go(self):\n        pass\n", "script"),
        ("class Net(torch.nn.Module):\n    def go(self):\n        torch.jit.script(self)\n", "script"),
        ("class Net(torch.jit.ScriptModule):\n    pass\n", "script"),
        (
            "import pytest\n\n\n@pytest.mark.parametrize('kind', [Net, int])\ndef test(kind):\n"
            "    torch.jit.script(kind())\n",
            "script",
        ),
        (
            "@torch.no_grad()\ndef main():\n    if True:\n        with open('x') as f:\n"
            "            torch.jit.script(Net())\n",
            "script",
        ),
    ],
)
def test_what_makes_the_object_is_followed(code: str, purpose: Purpose) -> None:
    check(code, (purpose, "Net" if "load_from" not in code else "Net.load_from_checkpoint"))


@pytest.mark.parametrize(
    "code",
    [
        "torch.jit.load('x.pt')\n",
        "script(Net())\n",
        "class jit:\n    pass\n\n\njit.script(Net())\n",
        "Net().script()\n",
        "torch.compile(Net())\n",
        "class Net(torch.nn.Module):\n    scale: torch.jit.Final[int] = 3\n",
    ],
)
def test_what_only_looks_like_it_is_no_use(code: str) -> None:
    check(code)
