"""A real workbench with the packaged extension in it, once for all tests of this folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from playing import Drive

CHECKOUT = Path(__file__).parents[2]
SETTINGS = {
    "chat.disableAIFeatures": True,
    "editor.hover.above": False,
    "editor.hover.delay": 100,
    "editor.minimap.enabled": False,
    "extensions.autoCheckUpdates": False,
    "extensions.autoUpdate": False,
    "extensions.ignoreRecommendations": True,
    "files.simpleDialog.enable": True,
    "security.workspace.trust.banner": "never",
    "security.workspace.trust.startupPrompt": "never",
    "telemetry.telemetryLevel": "off",
    "tsShape.interpreter": sys.executable,
    "update.mode": "none",
    "workbench.editor.useModal": "off",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
}
NO_GALLERY = '{"serviceUrl":"","itemUrl":"","resourceUrlTemplate":""}'


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="DIR", help="save what the workbench test sees into this folder")


def installed() -> Mapping[str, str]:
    try:
        found: Mapping[str, str] = json.loads((CHECKOUT / ".cache/workbench/workbench.json").read_text())
    except FileNotFoundError:
        pytest.fail("there is no workbench: run scripts/workbench")
    return found


def packaged() -> Path:
    found = sorted((CHECKOUT / "vscode-client/out").glob("*.vsix"), key=lambda path: path.stat().st_mtime)
    if not found:
        pytest.fail("there is no package of the extension: run `npm run package` in vscode-client")
    return found[-1]


def folders(home: Path) -> dict[str, str]:
    """The environment of a workbench that knows nothing of this machine's user."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("VSCODE_", "XDG_"))}
    for name, variable in {
        "config": "XDG_CONFIG_HOME",
        "data": "XDG_DATA_HOME",
        "cache": "XDG_CACHE_HOME",
        "run": "XDG_RUNTIME_DIR",
    }.items():
        (home / name).mkdir(mode=0o700)
        environment[variable] = str(home / name)
    environment["EXTENSIONS_GALLERY"] = NO_GALLERY
    for kind in ("User", "Machine"):
        (home / "user" / kind).mkdir(parents=True)
        (home / "user" / kind / "settings.json").write_text(json.dumps(SETTINGS))
    return environment


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str, process: subprocess.Popen[bytes], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return True
        except OSError:
            time.sleep(0.2)
    return False


@pytest.fixture(scope="session")
def workspace() -> Iterator[Path]:
    """A copy of some fixture projects, under a path that is short enough for a picture."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve() / "models"
        for name in ("start", "refusals", "notebook"):
            shutil.copytree(CHECKOUT / "tests/workspaces" / name, folder, dirs_exist_ok=True)
        yield folder


@pytest.fixture(scope="session")
def workbench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a workbench with the extension installed, all of it gone afterwards."""
    tools, home = installed(), tmp_path_factory.mktemp("workbench")
    environment = folders(home)
    start = [
        tools["node"],
        tools["entry"],
        "--user-data-dir",
        str(home / "user"),
        "--extensions-dir",
        str(home / "ext"),
    ]
    subprocess.run([*start, "--install-extension", str(packaged())], env=environment, check=True, timeout=120)
    port = free_port()
    quiet = ["--disable-telemetry", "--disable-update-check", "--disable-getting-started-override"]
    address = ["--auth", "none", "--bind-addr", f"127.0.0.1:{port}", "--reconnection-grace-time", "2"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*start, *address, *quiet], env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            assert answers(f"http://127.0.0.1:{port}/healthz", process, 60), (home / "log").read_text()
            yield f"http://127.0.0.1:{port}/"
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest) -> Path | None:
    """The folder for pictures that somebody has asked for."""
    named = request.config.getoption("--screenshots", default=None)
    if named is None:
        return None
    Path(named).mkdir(parents=True, exist_ok=True)
    return Path(named).absolute()


@pytest.fixture(scope="session")
def failures() -> Path:
    """An empty folder for what was on the screen when a scene failed."""
    folder = CHECKOUT / "test-results"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def drive(workbench: str, screenshots: Path | None, failures: Path) -> Drive:
    """Plays the scenes of a script in the workbench: `drive(script, query, **more)` gives what each of them saw."""
    tools = installed()

    def played(script: str, query: str, **more: str) -> Mapping[str, Any]:
        # The pictures of the documentation are those of `drive.mjs`; others are for who wants to look.
        into = screenshots if screenshots is None or script == "drive.mjs" else screenshots / Path(script).stem
        if into is not None:
            into.mkdir(exist_ok=True)
        task = {
            "playwright": tools["playwright"],
            "chromium": tools["chromium"],
            "url": f"{workbench}?{query}",
            "screenshots": None if into is None else str(into),
            "failures": str(failures),
            **more,
        }
        arguments = [tools["node"], str(Path(__file__).with_name(script)), json.dumps(task)]
        driven = subprocess.run(arguments, capture_output=True, text=True, timeout=480, check=False)
        assert driven.returncode == 0, driven.stderr
        found: Mapping[str, Any] = json.loads(driven.stdout)
        return found

    return played
