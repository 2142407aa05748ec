"""A nested tensor has rows of several lengths: it runs in memory alone, and no sizes are told of it."""

from __future__ import annotations

from pathlib import Path

from inference_helpers import report

PACKED = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 4)

    def forward(self, rows: List[Tensor]):
        packed = self.norm(torch.nested.nested_tensor(list(rows), layout=torch.jagged))
        return self.head(torch.stack([row.mean(0) for row in packed.unbind()]))
"""


def test_a_module_that_packs_rows_is_told_without_the_sizes_of_the_pack(tmp_path: Path) -> None:
    told = report(tmp_path, PACKED, inputs={"rows": "[(L, 16), ...]"})
    assert told["status"] == "ok", told["reason"]
    norm, head = told["layers"]
    assert (norm["inputs"], norm["outputs"]) == ([], [])
    assert [len(dims) for dims in head["outputs"]] == [2]
    assert [len(spec["dims"]) for spec in told["outputs"]] == [2]
