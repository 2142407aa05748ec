"""Sides of images that are bounded by what is done with the rows that come of them."""

from __future__ import annotations

from pathlib import Path

from inference_helpers import net, report


def test_a_column_of_scores_keeps_a_row_for_each_image(tmp_path: Path) -> None:
    source = net(
        "self.a = nn.Conv2d(3, 8, 4, 4); self.b = nn.Conv2d(8, 1, 4)",
        "return self.b(self.a(x)).view(-1, 1).squeeze(1)",
    )
    found = report(tmp_path, source)
    assert found["inputs"][0]["dims"] == ["B", 3, "H", "W"]
    symbols = found["symbols"]
    assert (symbols["H"]["min"], symbols["H"]["max"], symbols["B"]["min"]) == (16, 19, 1)


def test_patches_that_a_table_bounds_may_be_fewer(tmp_path: Path) -> None:
    source = net(
        "self.f = nn.Linear(48, 16); self.p = nn.Parameter(torch.randn(1, 64, 16))",
        "b, c, h, w = x.shape; y = x.reshape(b, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 3, 5, 1); "
        "y = self.f(y.reshape(b, -1, 16 * c)); return y + self.p[:, : y.size(1)]",
    )
    found = report(tmp_path, source)
    assert found["inputs"][0]["dims"] == ["b", 3, "h", "w"]
    assert (found["symbols"]["h"]["min"], found["symbols"]["h"]["multiple_of"]) == (4, 4)
    assert found["constraints"] == ["(h//4)*(w//4) <= 64"]


def test_items_that_a_view_may_count_otherwise_are_one_batch(tmp_path: Path) -> None:
    source = net(
        "self.q = nn.Linear(24, 24); self.k = nn.Linear(24, 24)",
        "n = q.size(0); q = self.q(q).view(n, -1, 4, 6); k = self.k(k).view(n, -1, 4, 6); "
        "return q.transpose(1, 2) @ k.permute(0, 2, 3, 1)",
        "q, k",
    )
    found = report(tmp_path, source)
    assert [item["dims"] for item in found["inputs"]] == [["n", "L", 24], ["n", "L2", 24]]
    assert found["symbols"]["n"] == {"min": 1, "max": None, "multiple_of": 1}
