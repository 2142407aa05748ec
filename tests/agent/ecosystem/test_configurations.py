"""A class that takes a configuration gets the one that its author's own files and calls give it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_libraries import CONFIGURATIONS, CONSUMERS
from probing_helpers import Prober

NET = """
import hydra
import torch
from omegaconf import OmegaConf
from torch import nn

class Net(nn.Module):
    def __init__(self, cfg, wide=2):
        super().__init__()
        self.fc = nn.Linear(cfg.features, cfg.classes)

    def forward(self, x):
        return self.fc(x)
"""
MAIN = """
@hydra.main(version_base=None, config_path="conf", config_name="main")
def main(cfg):
    print({call})
"""


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    prober = Prober(wall=10.0)
    yield prober
    prober.close()


def built(prober: Prober, folder: Path, source: str, content: str) -> Any:
    files = {**CONFIGURATIONS, "conf/main.json": content, "net.py": NET + source}
    made = prober.reports(folder, files, "Net", on_report=lambda _: None)["Net"]
    assert made.status == "ok", made.reason
    return dict(made.init)["cfg"].expression


@pytest.mark.parametrize(
    ("call", "content", "expected"),
    [
        ("Net(cfg)", '{"features": 9, "classes": 4}', "{'features': 9, 'classes': 4}"),
        ("Net(cfg.model, wide=3)", '{"model": {"features": 9, "classes": 5}}', "{'features': 9, 'classes': 5}"),
        ("Net(cfg=cfg.model)", '{"model": {"features": 8, "classes": 5}}', "{'features': 8, 'classes': 5}"),
        (
            "Net(cfg.model)",
            '{"model": {"features": 8, "classes": 5, "a": "??"}}',
            "{'features': 8, 'classes': 5, 'a': '??'}",
        ),
    ],
)
def test_hydra_composes_what_main_passes_on(
    prober: Prober, tmp_path: Path, call: str, content: str, expected: str
) -> None:
    assert built(prober, tmp_path, MAIN.format(call=call), content) == f"OmegaConf.create({expected})"


def test_a_main_that_makes_no_such_class_says_nothing(prober: Prober, tmp_path: Path) -> None:
    found = built(prober, tmp_path, MAIN.format(call="Other(cfg)"), '{"features": 9, "classes": 4}')
    assert "OmegaConf" not in found


def test_a_main_whose_file_is_gone_costs_nothing(prober: Prober, tmp_path: Path) -> None:
    found = built(prober, tmp_path, MAIN.replace('"main"', '"gone"').format(call="Net(cfg)"), "{}")
    assert "OmegaConf" not in found


LIGHTNING = """
from lightning import LightningModule
from lightning.pytorch.cli import LightningCLI
from torch import nn

class Net(LightningModule):
    def __init__(self, features: int, classes: int):
        super().__init__()
        self.fc = nn.Linear(features, classes)

    def forward(self, x):
        return self.fc(x)
"""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"model": {"features": 11, "classes": 6}}', ("11", "6")),
        ('{"model": {"class_path": "net.Net", "init_args": {"features": 12, "classes": 7}}}', ("12", "7")),
    ],
)
def test_what_a_command_line_of_lightning_reads_is_what_the_module_gets(
    prober: Prober, tmp_path: Path, content: str, expected: tuple[str, str]
) -> None:
    reader = "import json\nYAMLError = ValueError\ndef safe_load(file): return json.load(file)\n"
    files = {**CONSUMERS, "yaml.py": reader, "config.yaml": content, "net.py": LIGHTNING}
    made = prober.reports(tmp_path, files, "Net", on_report=lambda _: None)["Net"]
    init = dict(made.init)
    assert (init["features"].expression, init["classes"].expression) == expected


def test_the_file_of_another_class_says_nothing(prober: Prober, tmp_path: Path) -> None:
    reader = "import json\nYAMLError = ValueError\ndef safe_load(file): return json.load(file)\n"
    content = '{"model": {"class_path": "net.Other", "init_args": {"features": 12, "classes": 7}}}'
    files = {**CONSUMERS, "yaml.py": reader, "config.yaml": content, "net.py": LIGHTNING}
    made = prober.reports(tmp_path, files, "Net", on_report=lambda _: None)["Net"]
    assert dict(made.init)["features"].expression != "12"


def test_a_file_of_a_library_goes_before_a_default_and_is_named(prober: Prober, tmp_path: Path) -> None:
    reader = "import json\nYAMLError = ValueError\ndef safe_load(file): return json.load(file)\n"
    content = '{"model": {"features": 11, "classes": 6, "wide": 9}}'
    source = LIGHTNING.replace("classes: int)", "classes: int, wide: int = 3)").replace(
        "nn.Linear(features, classes)", "nn.Linear(features, classes * wide)"
    )
    files = {**CONSUMERS, "yaml.py": reader, "config.yaml": content, "net.py": source}
    made = prober.reports(tmp_path, files, "Net", on_report=lambda _: None)["Net"]
    assert {name: (item.expression, item.source) for name, item in dict(made.init).items()} == {
        "features": ("11", "config.yaml"),
        "classes": ("6", "config.yaml"),
        "wide": ("9", "config.yaml"),
    }
    assert made.outputs[0].dims == ("B", 54)
