"""What the VS Code extension offers is what the server takes: keys, defaults, choices, commands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ts_shape_server import __version__
from ts_shape_server.lsp import commands
from ts_shape_server.settings import EARLIER_KEYS, KEYS, Settings, parse

CLIENT = Path(__file__).parents[2] / "vscode-client"
MANIFEST = json.loads((CLIENT / "package.json").read_text(encoding="utf-8"))
OFFERED: dict[str, dict[str, Any]] = {
    key.removeprefix("tsShape."): value
    for key, value in MANIFEST["contributes"]["configuration"]["properties"].items()
    if key not in ("tsShape.server.python", "tsShape.trace.server")
}


def test_the_extension_offers_every_setting_and_no_other() -> None:
    assert set(OFFERED) == {*KEYS, *EARLIER_KEYS}
    assert {key for key, value in OFFERED.items() if "deprecationMessage" in value} == set(EARLIER_KEYS)


@pytest.mark.parametrize("key", OFFERED)
def test_a_default_is_the_server_s_own(key: str) -> None:
    settings, problems = parse({key: OFFERED[key]["default"]})
    assert not problems
    assert settings == Settings()


@pytest.mark.parametrize("key", [key for key, value in OFFERED.items() if "enum" in value or "maximum" in value])
def test_what_is_offered_is_taken(key: str) -> None:
    value = OFFERED[key]
    for choice in value.get("enum", [value.get("minimum"), value.get("maximum")]):
        assert parse({key: choice})[1] == ()


def test_the_palette_offers_what_the_server_can_do() -> None:
    offered = {item["command"] for item in MANIFEST["contributes"]["commands"]}
    assert {commands.EXPORT, commands.RESTART, commands.REPORT, commands.REPAIR, commands.CHECK} <= offered


def test_every_text_for_people_is_in_the_file_that_is_translated_and_none_is_there_for_nothing() -> None:
    texts = json.loads((CLIENT / "package.nls.json").read_text(encoding="utf-8"))
    used = re.findall(r'"%([\w.]+)%"', (CLIENT / "package.json").read_text(encoding="utf-8"))
    assert set(used) == set(texts)
    assert all(texts.values())


def test_the_walkthrough_shows_pages_that_are_there_and_commands_that_are_offered() -> None:
    texts = json.loads((CLIENT / "package.nls.json").read_text(encoding="utf-8"))
    offered = {item["command"] for item in MANIFEST["contributes"]["commands"]}
    for walkthrough in MANIFEST["contributes"]["walkthroughs"]:
        for step in walkthrough["steps"]:
            assert (CLIENT / step["media"]["markdown"]).is_file()
            assert set(re.findall(r"\(command:([\w.]+)\)", texts[step["description"].strip("%")])) <= offered
    assert (CLIENT / MANIFEST["icon"]).is_file()


def test_the_extension_has_the_version_of_the_server() -> None:
    assert MANIFEST["version"] == __version__
    assert json.loads((CLIENT / "package-lock.json").read_text(encoding="utf-8"))["version"] == __version__


def test_the_extension_carries_the_versions_that_are_tested() -> None:
    def pins(path: Path) -> set[str]:
        lines = path.read_text(encoding="utf-8").splitlines()
        return {line.split(";")[0].strip().lower().replace("_", "-") for line in lines if "==" in line}

    assert pins(CLIENT / "bundled-requirements.txt") <= pins(CLIENT.parent / "constraints.txt")
