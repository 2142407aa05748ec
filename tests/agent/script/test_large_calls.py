"""A report is made also where its inputs are larger than a file that a probe may write."""

from __future__ import annotations

from pathlib import Path

from probing_helpers import Prober

from ts_shape_server.workspace import Workspace

NET = """
from torch import nn
from torch.nn import functional as F

# ts-shape: x=(64, 64, 32, 32)
class Shifted(nn.Module):
    def forward(self, x):
        return F.pad(x, (1, 0, 0, 0))
"""


def test_large_inputs_do_not_cost_the_report(prober: Prober, tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(NET, "utf-8")
    workspace = Workspace((str(tmp_path),))
    request = workspace.request(workspace.snapshot(str(path), NET))
    made = prober.run(prober.service.reports(request, lambda _: None))[0]
    assert made.status == "ok", made.reason
    assert made.torchscript.script.ok is True, made.torchscript.script
