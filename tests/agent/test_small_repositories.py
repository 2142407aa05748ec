"""Small repositories of several files: what one file says of a class of another is found there, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from probing_helpers import Prober

from ts_shape_server.contract.report import InputSpec, Report
from ts_shape_server.workspace import Workspace

NET = """
import torch
from torch import nn


class Tagger(nn.Module):
    def __init__(self, words, width, tags=7):
        super().__init__()
        self.words = nn.Embedding(words, width, padding_idx=0)
        self.fc = nn.Linear(width, tags)

    def forward(self, sentence):
        return self.fc(self.words(sentence))
"""
ATTENTION = """
import torch
from torch import nn


class Scores(nn.Module):
    def forward(self, query, key, value, mask=None, drop=None):
        weights = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
        if mask is not None:
            weights = weights.masked_fill(mask == 0, -1e9)
        weights = weights.softmax(-1)
        if drop is not None:
            weights = drop(weights)
        return weights @ value, weights
"""
HEADS = """
import torch
from torch import nn
from .attention import Scores


class Heads(nn.Module):
    def __init__(self, width=32, heads=4):
        super().__init__()
        self.heads, self.one = heads, width // heads
        self.to_each = nn.Linear(width, width * 3)
        self.scores, self.drop = Scores(), nn.Dropout(0.2)

    def forward(self, x, mask=None):
        b, n, _ = x.shape
        q, k, v = self.to_each(x).view(b, n, 3, self.heads, self.one).permute(2, 0, 3, 1, 4)
        out, _ = self.scores(q, k, v, mask=mask, drop=self.drop)
        return out.transpose(1, 2).reshape(b, n, -1)
"""


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    made = Prober(wall=60.0)
    yield made
    made.close()


def look(prober: Prober, folder: Path, files: Mapping[str, str], path: str, name: str) -> Report:
    """The report of a class of the file at `path` in a repository of these files."""
    for place, text in files.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text, "utf-8")
    workspace = Workspace((str(folder),))
    request = workspace.request(workspace.snapshot(str(folder / path), files[path]), [name])
    report: Report = prober.run(prober.service.reports(request, lambda report: None))[0]
    assert report.status == "ok", report.reason
    return report


def dims(report: Report) -> dict[str, tuple[object, ...] | None]:
    return {item.name: item.value.dims for item in report.inputs}


def given(report: Report) -> dict[str, str]:
    return {name: argument.expression for name, argument in report.init}


def named(report: Report, name: str) -> InputSpec:
    return next(item for item in report.inputs if item.name == name)


def test_a_script_of_another_package_imports_what_stands_beside_it(prober: Prober, tmp_path: Path) -> None:
    files = {
        "pack/__init__.py": "",
        "pack/models/__init__.py": "",
        "pack/models/net.py": NET,
        "pack/words.py": "WORDS = ['', 'a', 'the', 'cat']\nWIDTH = 12\n",
        "pack/__main__.py": (
            "from .models.net import Tagger\nfrom .words import WORDS, WIDTH\n\n\n"
            "def main():\n    return Tagger(len(WORDS), width=WIDTH)\n"
        ),
    }
    report = look(prober, tmp_path, files, "pack/models/net.py", "Tagger")
    assert given(report) == {"words": "4", "width": "12"}
    assert not report.stubbed


def test_the_length_of_what_is_not_installed_is_no_number(prober: Prober, tmp_path: Path) -> None:
    files = {
        "net.py": NET,
        "train.py": (
            "from vocabularies_of_nobody import Vocabulary\nfrom net import Tagger\n\n"
            "vocabulary = Vocabulary.load('words.pkl')\ntagger = Tagger(len(vocabulary), width=24, tags=3)\n"
        ),
    }
    report = look(prober, tmp_path, files, "net.py", "Tagger")
    assert (given(report)["width"], given(report)["tags"]) == ("24", "3")
    assert int(given(report)["words"]) > 1
    assert dims(report) == {"sentence": ("B", "L")}


def test_what_may_be_left_out_and_is_no_value_leaves_the_rest_of_a_call(prober: Prober, tmp_path: Path) -> None:
    files = {"pack/__init__.py": "", "pack/attention.py": ATTENTION, "pack/heads.py": HEADS}
    report = look(prober, tmp_path, files, "pack/attention.py", "Scores")
    found = dims(report)
    assert [len(found[name] or ()) for name in ("query", "key", "value")] == [4, 4, 4]
    assert found["query"] == ("B", "H", "L", "D")
    assert named(report, "drop").value.type == "Callable"


SPEECH = """
import torch
from torch import nn


class Vocoder(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.steps = len(h.upsample_rates)
        self.first = nn.Conv1d(h.num_mels, h.channels, 5, padding=2)
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(h.channels, h.channels, 2 * rate, rate, padding=rate // 2) for rate in h.upsample_rates
        )
        self.last = nn.Conv1d(h.channels, 1, 7, padding=3)

    def forward(self, mel):
        x = self.first(mel)
        for up in self.ups:
            x = torch.relu(up(x))
        return self.last(x).tanh()
"""
SYNTHESIS = """
import json
import sys

from vocoder import Vocoder

h = None


def main():
    global h
    h = json.loads(open(sys.argv[1]).read())
    return synthesise()


def synthesise():
    return Vocoder(h)
"""


def test_a_settings_file_that_names_no_class_is_known_by_what_is_read(prober: Prober, tmp_path: Path) -> None:
    wanted = '{"lr": 0.1, "upsample_rates": [4, 2], "channels": 24, "num_mels": 40}'
    files = {
        "vocoder.py": SPEECH,
        "synthesise.py": SYNTHESIS,
        "config_v1.json": wanted,
        "other.json": '{"num_mels": 13, "channels": 7}',
    }
    report = look(prober, tmp_path, files, "vocoder.py", "Vocoder")
    assert dims(report) == {"mel": ("B", 40, "L")}
    assert report.outputs[0].dims == ("B", 1, "8*L")


def test_a_name_that_a_function_sets_is_not_what_the_module_begins_with(prober: Prober, tmp_path: Path) -> None:
    report = look(prober, tmp_path, {"vocoder.py": SPEECH, "synthesise.py": SYNTHESIS}, "vocoder.py", "Vocoder")
    assert [len(found or ()) for found in dims(report).values()] == [3]


BLOCK = """
import torch
from torch import nn


class Residual(nn.Module):
    def __init__(self, size, rate=0.1):
        super().__init__()
        self.norm, self.drop = nn.LayerNorm(size), nn.Dropout(rate)

    def forward(self, x, inner):
        return x + self.drop(inner(self.norm(x)))
"""
LAYER = """
import torch
from torch import nn
from block import Residual


class Layer(nn.Module):
    def __init__(self, size=48):
        super().__init__()
        self.block, self.mix = Residual(size), nn.GRU(size, size, batch_first=True)

    def forward(self, x):
        return self.block(x, lambda item: self.mix(item)[0])
"""


def test_a_function_that_a_parent_passes_leaves_the_tensors_beside_it(prober: Prober, tmp_path: Path) -> None:
    report = look(prober, tmp_path, {"block.py": BLOCK, "layer.py": LAYER}, "block.py", "Residual")
    assert dims(report)["x"] == ("B", "L", 48)
    assert named(report, "inner").value.type == "Callable"


STEP = """
import torch
from torch import nn


class Step(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(width, width)

    def forward(self, x, keep):
        weights = (x @ x.transpose(1, 2)).unsqueeze(1).masked_fill(keep == 0, -1e9).softmax(-1)
        return self.fc(weights.sum(1) @ x)
"""
WALK = """
import torch
from torch import nn
from step import Step


class Walk(nn.Module):
    def __init__(self, words=60, width=20):
        super().__init__()
        self.words, self.steps = nn.Embedding(words, width), nn.ModuleList([Step(width) for _ in range(2)])

    def forward(self, sentence):
        keep = (sentence > 0).unsqueeze(1).repeat(1, sentence.size(1), 1).unsqueeze(1)
        x = self.words(sentence)
        for step in self.steps:
            x = step.forward(x, keep)
        return x
"""


def test_what_a_parent_passes_through_forward_is_seen(prober: Prober, tmp_path: Path) -> None:
    report = look(prober, tmp_path, {"step.py": STEP, "walk.py": WALK}, "step.py", "Step")
    assert dims(report)["x"] == ("B", "L", 20)
    assert (dims(report)["keep"] or ())[2:] == ("L", "L")
    assert named(report, "keep").value.dtype == "bool"


def test_a_module_class_that_an_annotation_names_is_made_with_guesses(prober: Prober, tmp_path: Path) -> None:
    model = (
        "from torch import nn\nfrom net import Tagger\n\n\nclass Model(nn.Module):\n"
        "    def __init__(self, tagger: Tagger, labels):\n        super().__init__()\n"
        "        self.tagger, self.last = tagger, nn.Linear(7, labels)\n\n"
        "    def forward(self, sentence):\n        return self.last(self.tagger(sentence))\n"
    )
    report = look(prober, tmp_path, {"net.py": NET, "model.py": model}, "model.py", "Model")
    assert given(report)["tagger"].startswith("Tagger(")
    assert named(report, "sentence").value.dtype == "int64"
    assert dims(report) == {"sentence": ("B", "L")}


def test_a_file_of_old_hydra_says_what_it_knows(prober: Prober, tmp_path: Path) -> None:
    params = '{"words": "???", "width": "${width}", "tags": 5}'
    settings = f'{{"width": 36, "tagger": {{"class": "pack.net.Tagger", "params": {params}}}}}'
    files = {"pack/__init__.py": "", "pack/net.py": NET, "config/train.json": settings}
    report = look(prober, tmp_path, files, "pack/net.py", "Tagger")
    assert (given(report)["width"], given(report)["tags"]) == ("36", "5")
