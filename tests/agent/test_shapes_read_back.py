"""Shapes that are written into the source are read back: the report of the changed file says the same, and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from probing_helpers import Prober

from ts_shape_server.analysis.rewrites import Rewrite
from ts_shape_server.analysis.written import ShapeWriter
from ts_shape_server.contract import schema
from ts_shape_server.contract.report import Report
from ts_shape_server.features.offers import Offer, told
from ts_shape_server.workspace import Snapshot, Workspace

HEAD = "from typing import List\n\nimport torch\nfrom torch import Tensor, nn\n\n\n"
IMAGES = '''class Net(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.fc = nn.Linear(width * 14 * 14, 10)

    def forward(self, x, scale: float = 1.0):
        """Classify."""
        x = torch.max_pool2d(self.conv(x), 2)
        y = x.flatten(1)
        return self.fc(y) * scale
'''
TOKENS = """class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(50, 8)
        self.mix = nn.Linear(6, 8)

    def forward(self, tokens, features):
        b, length = tokens.shape
        return self.table(tokens) + self.mix(features)
"""
LISTS = """class Net(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc = nn.Linear(dim, 4)

    def forward(self, parts: List[Tensor]):
        return [self.fc(part) for part in parts]
"""
TABLE = """class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.image = nn.Linear(16, 8)
        self.text = nn.Linear(12, 8)

    def forward(self, batch):
        return self.image(batch["image"]) + self.text(batch["text"])
"""
JAXTYPING = '''"""As much of the real package as a reader of annotations sees."""


class _Shaped:
    def __init__(self, name, array, dim_str, dtypes):
        self.__name__, self.array_type, self.dim_str, self.dtypes = f"{name}[{array.__name__}]", array, dim_str, dtypes

    def __call__(self):
        raise TypeError("an annotation")


class _Kind:
    def __init__(self, name, dtypes):
        self.name, self.dtypes = name, dtypes

    def __getitem__(self, item):
        return _Shaped(self.name, *item, self.dtypes)


Float = _Kind("Float", ["float16", "float32", "float64"])
Int = _Kind("Int", ["int32", "int64"])
'''


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    made = Prober(wall=30.0)
    yield made
    made.close()


def look(prober: Prober, folder: Path, text: str) -> tuple[Snapshot, Report]:
    workspace = Workspace((str(folder),))
    snapshot = workspace.snapshot(str(folder / "net.py"), text)
    report = prober.run(prober.service.reports(workspace.request(snapshot), lambda report: None))[0]
    assert report.status == "ok", report.reason
    return snapshot, report


def check(prober: Prober, folder: Path, text: str, kind: str, lines: list[str], evidence: str) -> None:
    """The change writes these lines, is not made twice, and its evidence decides in the report of the changed text."""
    snapshot, report = look(prober, folder, text)
    rewrite = written(snapshot, report, kind)
    assert rewrite is not None
    changed = snapshot.source.apply(rewrite.edits)
    assert not [line for line in lines if line not in changed.split("\n")], changed
    again, after = look(prober, folder, changed)
    offer = Offer("Net", rewrite, "runs" if kind in ("sizes", "constructor") else "read again")
    assert told(offer, report, after), (schema.write(report), schema.write(after))
    sources = [*(item.source for item in after.inputs), *(item.source for _, item in after.init)]
    assert any(item.startswith(evidence) for item in sources), sources
    assert written(again, after, kind) is None


def written(snapshot: Snapshot, report: Report, kind: str) -> Rewrite | None:
    writer = ShapeWriter(snapshot.source, snapshot.classes, report)
    makers = {
        "docstring": writer.docstring,
        "comments": writer.comments,
        "jaxtyping": writer.jaxtyping,
        "input": writer.pinned_input,
        "sizes": lambda: writer.pinned_input(sizes=True),
        "constructor": writer.pinned_constructor,
    }
    return makers[kind]()


@pytest.mark.parametrize(
    ("source", "kind", "lines", "evidence"),
    [
        (
            IMAGES,
            "docstring",
            [
                '        """Classify.',
                "        Shapes:",
                "            x: (B, 3, H, W) float32",
                "            returns: (B, 10) float32",
            ],
            "docstring",
        ),
        (
            TOKENS,
            "docstring",
            ["            tokens: (b, length) int64", "            features: (b, length, 6) float32"],
            "docstring",
        ),
        (LISTS, "docstring", ["            parts: list of (L, dim) float32"], "docstring"),
        (
            IMAGES,
            "comments",
            [
                "        # x: (B, 3, H, W) float32",
                "        x = torch.max_pool2d(self.conv(x), 2)  # (B, 16, 14, 14)",
                "        y = x.flatten(1)  # (B, 3136)",
            ],
            "comment",
        ),
        (TOKENS, "comments", ["        # tokens: (b, length) int64"], "comment"),
        (
            IMAGES,
            "jaxtyping",
            [
                "from jaxtyping import Float",
                '    def forward(self, x: Float[Tensor, "B 3 H W"], scale: float = 1.0) -> Float[Tensor, "B 10"]:',
            ],
            "annotation",
        ),
        (
            TOKENS,
            "jaxtyping",
            [
                '    def forward(self, tokens: Int[Tensor, "b length"], features: Float[Tensor, "b length 6"])'
                ' -> Float[Tensor, "b length 8"]:'
            ],
            "annotation",
        ),
        (IMAGES, "input", ["# ts-shape: x=(B, 3, H, W)"], "pragma"),
        (IMAGES, "sizes", ["# ts-shape: x=(B, 3, 28, 28)"], "pragma"),
        (LISTS, "input", ["# ts-shape: parts=[(L, dim), ...]"], "pragma"),
        (TABLE, "input", ["# ts-shape: batch={image: (B, 16), text: (B, 12)}"], "pragma"),
        (LISTS, "constructor", ["# ts-shape: init(dim=16)"], "pragma"),
    ],
)
def test_what_is_written_is_read_again(
    prober: Prober, tmp_path: Path, source: str, kind: str, lines: list[str], evidence: str
) -> None:
    (tmp_path / "jaxtyping.py").write_text(JAXTYPING, encoding="utf-8")
    check(prober, tmp_path, HEAD + source, kind, lines, evidence)


def test_a_package_that_is_not_installed_keeps_no_promise(prober: Prober, tmp_path: Path) -> None:
    snapshot, report = look(prober, tmp_path, HEAD + IMAGES)
    rewrite = written(snapshot, report, "jaxtyping")
    assert rewrite is not None
    _, after = look(prober, tmp_path, snapshot.source.apply(rewrite.edits))
    assert not told(Offer("Net", rewrite, "read again"), report, after)
