"""What is read beside a side of one holds for that row alone: claims begin at longer sides where those run."""

from __future__ import annotations

from pathlib import Path

from inference_helpers import net, report


def test_an_image_of_one_row_says_nothing_of_its_columns(tmp_path: Path) -> None:
    found = report(
        tmp_path, net("self.norm = nn.InstanceNorm2d(3, affine=True)", "return self.norm(x)"), x="(1, 3, 1, 7)"
    )
    assert found["status"] == "ok", found["reason"]
    assert not any("C*" in text for text in found["constraints"])
