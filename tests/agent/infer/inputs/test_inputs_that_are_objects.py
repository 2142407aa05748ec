"""An input that is an object of the file is made of tensors: by its annotation, or by the attributes that are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inference_helpers import net, report

HOLDERS = """
class ImageList:
    def __init__(self, tensors, mask):
        self.tensors = tensors
        self.mask = mask

    def decompose(self):
        return self.tensors, self.mask


class Pair:
    def __init__(self, left, right):
        self.left, self.right = left, right


class Counted:
    def __init__(self, tensors):
        self.count = len(tensors)
"""
EMBEDDED = "self.e = nn.Embedding(30, 8)"


def _named(found: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    (told,) = found["inputs"]
    items = zip(told["keys"], told["items"], strict=True)
    return told["type"], {key: (item["dims"], item["dtype"]) for key, item in items}


@pytest.mark.parametrize(
    ("source", "kind", "fields"),
    [
        pytest.param(
            net(
                "self.c = nn.Conv2d(3, 8, 3)",
                "y = self.c(images.tensors); return y, (~images.mask).cumsum(1), images.mask[:, None]",
                "images: ImageList",
            ),
            "ImageList",
            {"tensors": (["B", 3, "H", "W"], "float32"), "mask": (["B", "H", "W"], "bool")},
            id="a mask of the places of an image, by annotation",
        ),
        pytest.param(
            net(
                "self.e = nn.Embedding(50, 8); self.c = nn.Conv2d(3, 8, 1)",
                "h, w = x.tensors.shape[-2:]; i = torch.arange(w); j = torch.arange(h); "
                "return x.tensors.sum() + self.e(i).sum() + self.e(j).sum() + self.c(x.tensors), x.mask",
                "x: ImageList",
            ),
            "ImageList",
            {"tensors": (["B", 3, "H", "W"], "float32"), "mask": (["B", "H", "W"], "bool")},
            id="the mask follows where the image has to be smaller",
        ),
        pytest.param(
            net(
                "self.c = nn.Conv2d(3, 8, 3, padding=1)",
                "x, m = images.decompose(); return self.c(x).masked_fill(m.unsqueeze(1), 0.0)",
                "images",
            ),
            "ImageList",
            {"tensors": (["B", 3, "H", "W"], "float32"), "mask": (["B", "H", "W"], "bool")},
            id="by the only class that has the method",
        ),
        pytest.param(
            net(EMBEDDED, "return self.e(batch.left).mean(1) - self.e(batch.right).mean(1)", "batch"),
            "Pair",
            {"left": (["B", "L"], "int64"), "right": (["B", "L2"], "int64")},
            id="by the only class that has the attributes",
        ),
        pytest.param(
            net(EMBEDDED, "return self.e(batch.premise).mean(1) - self.e(batch.query).mean(1)", "batch"),
            "Any",
            {"premise": (["B", "L"], "int64"), "query": (["B", "L2"], "int64")},
            id="of no class that is known",
        ),
    ],
)
def test_an_object_is_made_of_tensors(tmp_path: Path, source: str, kind: str, fields: dict[str, Any]) -> None:
    found = report(tmp_path, source.replace("class Net", HOLDERS + "\n\nclass Net", 1))
    assert found["status"] == "ok", found["reason"]
    assert _named(found) == (kind, fields)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(net("", "return x.adjacency_of(3)", "x"), id="a method of no class that is known"),
        pytest.param(net("", "return x.count * 2", "x: Counted"), id="a class that keeps something else"),
    ],
)
def test_what_is_no_holder_of_tensors_is_not_made(tmp_path: Path, source: str) -> None:
    found = report(tmp_path, source.replace("class Net", HOLDERS + "\n\nclass Net", 1))
    assert found["status"] == "unresolved"
    assert "is an object with" in found["reason"]["message"]
    assert "ts-shape: x=" not in found["reason"]["message"]
