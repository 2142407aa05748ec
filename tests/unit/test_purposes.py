"""Which classes of a workspace are scripted, traced or exported: through files, functions, parts and bases."""

from __future__ import annotations

from pathlib import Path

import pytest

from ts_shape_server.workspace import Workspace

BLOCKS = """from torch import nn


class Base(nn.Module):
    def forward(self, x):
        return x


class Block(Base):
    def forward(self, x):
        return x


class Other(nn.Module):
    def forward(self, x):
        return x


KINDS = {"block": Block}


def block(kind):
    return KINDS[kind]()
"""
NET = """from torch import nn

from blocks import block


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = block("block")

    def forward(self, x):
        return self.part(x)
"""
BUILD = "from net import Net\n\n\ndef build(name):\n    return Net()\n"
SAVE = "import torch\n\n\ndef save(path, model):\n    model.eval()\n    torch.jit.script(model).save(path)\n"


def check(folder: Path, use: str, *scripted: str, name: str = "use.py", **more: str) -> None:
    for file, text in {"blocks": BLOCKS, "net": NET, "build": BUILD, "save": SAVE, **more}.items():
        (folder / f"{file}.py").write_text(text, encoding="utf-8")
    (folder / name).write_text(use, encoding="utf-8")
    workspace = Workspace((str(folder),))
    found = {}
    for file in ("blocks", "net"):
        path = str(folder / f"{file}.py")
        snapshot = workspace.snapshot(path, (folder / f"{file}.py").read_text(encoding="utf-8"))
        found.update(workspace.purposes(snapshot))
    assert sorted(item for item, purposes in found.items() if "script" in purposes) == sorted(scripted)


@pytest.mark.parametrize(
    "use",
    [
        "import torch\nfrom net import Net\n\ntorch.jit.script(Net())\n",
        "import torch\nimport net as models\n\nmodel = models.Net()\ntorch.jit.script(model)\n",
        "import torch\nfrom build import build\n\nmodel = build('net').eval()\ntorch.jit.script(model)\n",
        "from net import Net\nfrom save import save\n\nsave('x.pt', Net())\n",
        "import save\nfrom net import Net\n\nsave.save('x.pt', model=Net())\n",
        "from net import Net\nimport save\n\n\ndef again(net):\n    save.save('x', net)\n\n\nagain(Net())\n",
    ],
)
def test_parts_and_bases_of_what_is_scripted_are_scripted(tmp_path: Path, use: str) -> None:
    check(tmp_path, use, "Net", "Block", "Base")


def test_a_part_does_not_have_its_owner_scripted(tmp_path: Path) -> None:
    check(tmp_path, "import torch\nfrom blocks import Block\n\ntorch.jit.script(Block())\n", "Block", "Base")


def test_a_document_counts(tmp_path: Path) -> None:
    use = "```python\nimport torch\nfrom net import Net\n\ntorch.jit.script(Net())\n```\n"
    check(tmp_path, use, "Net", "Block", "Base", name="README.md")


@pytest.mark.parametrize("use", ["", "from net import Net\n\nNet()\n", "import torch\n\ntorch.jit.load('x.pt')\n"])
def test_what_nobody_scripts_has_no_purpose(tmp_path: Path, use: str) -> None:
    check(tmp_path, use)


def test_a_use_that_is_added_or_taken_away_is_seen(tmp_path: Path) -> None:
    use = "import torch\nfrom net import Net\n\ntorch.jit.script(Net())\n"
    for _ in range(2):
        check(tmp_path, use, "Net", "Block", "Base")
        check(tmp_path, "")
