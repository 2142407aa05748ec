"""Of the model caches a probe may read copies of small configuration files, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ts_shape_server.probing import model_files
from ts_shape_server.probing.process import Launch

MODEL = "models--acme--net"


def cache(folder: Path) -> Path:
    """A hub's cache with one model: files link to blobs, as the hub's library lays them out."""
    hub = folder / "hub"
    (hub / MODEL / "refs").mkdir(parents=True)
    (hub / MODEL / "refs" / "main").write_text("1234")
    (hub / MODEL / "blobs").mkdir()
    snapshot = hub / MODEL / "snapshots" / "1234"
    (snapshot / "unet").mkdir(parents=True)
    contents = {"config.json": "{}", "unet/config.json": "{}", "model.safetensors": "w", "modeling.py": "code"}
    for number, (name, text) in enumerate({**contents, "big.json": " " * (model_files.LARGEST + 1)}.items()):
        (hub / MODEL / "blobs" / str(number)).write_text(text)
        (snapshot / name).symlink_to(hub / MODEL / "blobs" / str(number))
    (folder / "secret.json").write_text("secret")
    (snapshot / "outside.json").symlink_to(folder / "secret.json")
    return hub


def test_only_small_configuration_files_of_the_cache_are_copied(tmp_path: Path) -> None:
    hub = cache(tmp_path)
    model_files.copy(hub, tmp_path / "copy")
    copied = {
        str(path.relative_to(tmp_path / "copy" / MODEL)) for path in (tmp_path / "copy").rglob("*") if path.is_file()
    }
    assert copied == {"refs/main", "snapshots/1234/config.json", "snapshots/1234/unet/config.json"}


@pytest.mark.parametrize("limit", ["MAXIMUM_FILES", "MAXIMUM_BYTES"])
def test_a_cache_without_end_is_not_copied_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(model_files, limit, 2)
    assert model_files.copy(cache(tmp_path), tmp_path / "copy") <= 2


def test_an_agent_is_told_of_the_copy_alone(tmp_path: Path) -> None:
    environment = {"HF_HOME": str(cache(tmp_path).parent)}
    place = str(tmp_path / "scratch")
    told = model_files.granted(("model-configurations",), place, environment)
    assert told["HF_HUB_CACHE"] == f"{place}/readable/hub"
    assert told[model_files.FOLDERS] == f"{place}/readable"
    assert model_files.granted((), place, environment)[model_files.FOLDERS] == ""


def test_a_folder_that_the_user_names_is_readable_as_a_whole(tmp_path: Path) -> None:
    hub = cache(tmp_path)
    told = model_files.granted(
        (str(tmp_path), "model-configurations"), str(tmp_path / "scratch"), {"HF_HUB_CACHE": str(hub)}
    )
    assert told["HF_HUB_CACHE"] == str(hub)
    assert told[model_files.FOLDERS] == str(tmp_path)


def test_no_workspace_names_what_is_readable(tmp_path: Path) -> None:
    launch = Launch("python", environment={model_files.FOLDERS: "/", "A": "1"})
    variables = launch.variables(str(tmp_path))
    assert variables[model_files.FOLDERS] == ""
    assert variables["A"] == "1"
    assert os.sep not in variables[model_files.FOLDERS].split(os.pathsep)
