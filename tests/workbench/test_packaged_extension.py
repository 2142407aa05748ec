"""The packaged extension in a real workbench, used with mouse and keyboard in a workspace that becomes trusted."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from playing import Drive, shown

pytestmark = [pytest.mark.workbench, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def seen(drive: Drive, workspace: Path) -> Mapping[str, Any]:
    return drive("drive.mjs", f"folder={workspace}", output=str(workspace / "exported.pt"))


def test_an_untrusted_workspace_gets_words_and_no_shapes(seen: Mapping[str, Any]) -> None:
    hover = shown(seen, "untrusted")
    assert "not trusted" in hover
    assert "28" not in hover


def test_granting_trust_starts_the_agent(seen: Mapping[str, Any]) -> None:
    assert "torch" in shown(seen, "trusted")


def test_the_interpreter_in_use_is_among_those_offered(seen: Mapping[str, Any]) -> None:
    assert any(sys.executable in row for row in shown(seen, "interpreters"))


def test_a_hover_over_the_class_shows_its_inputs(seen: Mapping[str, Any]) -> None:
    hover = shown(seen, "hover")["hover"]
    assert "(B, 3, H, W)" in hover
    assert "28 or 29" in hover


def test_a_lens_shows_input_and_output_and_offers_the_export(seen: Mapping[str, Any]) -> None:
    lenses = " ".join(shown(seen, "hover")["lenses"])
    assert "(B, 10)" in lenses
    assert "Export TorchScript" in lenses


def test_the_lens_opens_the_report_as_a_page(seen: Mapping[str, Any]) -> None:
    page = shown(seen, "report")["shown"]
    assert all(layer in page for layer in ("Conv2d", "ReLU", "MaxPool2d", "Linear"))


def test_a_click_in_the_report_leads_to_the_line(seen: Mapping[str, Any]) -> None:
    assert shown(seen, "report")["led"].strip() == "return self.fc(x)"


def test_the_keyboard_leads_to_the_line_too(seen: Mapping[str, Any]) -> None:
    assert "x.view(" in shown(seen, "report")["byKey"]


def test_a_screen_reader_has_a_name_for_whatever_has_the_focus_in_the_report(seen: Mapping[str, Any]) -> None:
    assert shown(seen, "report")["nameless"] == []


def test_a_click_in_the_report_of_a_notebook_leads_to_its_cell(seen: Mapping[str, Any]) -> None:
    assert "self.inner(x)" in shown(seen, "notebook")


def test_what_torchscript_refuses_is_underlined_and_explained(seen: Mapping[str, Any]) -> None:
    assert "Dict[str, Tensor]" in shown(seen, "refusal")


def test_the_quick_fix_annotates_the_file(seen: Mapping[str, Any], workspace: Path) -> None:
    assert shown(seen, "fix")
    text = (workspace / "two_inputs.py").read_text()
    assert "def forward(self, batch: Dict[str, torch.Tensor])" in text
    assert "from typing import Dict" in text


def test_the_export_makes_a_file_that_torch_loads(seen: Mapping[str, Any], workspace: Path) -> None:
    import torch

    assert "exported.pt" in shown(seen, "export")["told"]
    # torch 2.13 deprecates TorchScript; loading it is what the file is for.
    with pytest.warns(DeprecationWarning):
        module = torch.jit.load(workspace / "exported.pt")
    output = module(torch.zeros(5, 3, 28, 28, dtype=torch.float64))
    assert output.shape == (5, 10) and output.dtype == torch.float64


def test_the_export_asks_for_weights_method_and_dtype_with_enter_for_what_is_usual(seen: Mapping[str, Any]) -> None:
    first, *others = shown(seen, "export")["choices"]
    assert "Export" in first
    assert [name for name in ("Weights", "Method", "Dtype") if any(name in text for text in others)] == [
        "Weights",
        "Method",
        "Dtype",
    ]
