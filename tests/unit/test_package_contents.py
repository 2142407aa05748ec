"""What people install holds all of the program, the licences of what is in it, and nothing else."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from scripts.package_contents import LIBS, of_extension, of_wheel, problems, program, unwanted
from ts_shape_server import __version__

PROGRAM = ["ts_shape_server/__init__.py", "ts_shape_server/agent/__main__.py"]
WHEEL = [*PROGRAM, "ts_shape_server-0.1.0.dist-info/licenses/LICENSE", "ts_shape_server-0.1.0.dist-info/RECORD"]
EXTENSION = [
    "extension.vsixmanifest",
    *(f"extension/{name}" for name in ("package.json", "out/extension.js", "bundled/server.py", "LICENSE.txt")),
    *(LIBS + name for name in PROGRAM),
    *(LIBS + f"jedi-0.19.dist-info/{name}" for name in ("METADATA", "licenses/LICENSE.txt")),
    LIBS + "jedi/__init__.py",
]


def test_what_is_whole_is_well() -> None:
    assert of_wheel(WHEEL, PROGRAM) == []
    assert of_extension(EXTENSION, PROGRAM) == []


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("ts_shape_server/tests/test_x.py", "a test"),
        ("ts_shape_server/conftest.py", "a test"),
        ("ts_shape_server/__pycache__/x.cpython-311.pyc", "a cache"),
        ("ts_shape_server/.mypy_cache/x", "a cache"),
        ("ts_shape_server/.venv/bin/python", "an environment"),
        ("extension/node_modules/x/index.js", "an environment"),
        (LIBS + "torch/__init__.py", "torch"),
        (LIBS + "x/libtorch_cpu.so", "native code"),
        (LIBS + "x/_x.cpython-311-x86_64-linux-gnu.so.1", "native code"),
        ("extension/src/extension.ts", "a source that is bundled"),
        ("ts_shape_server/../x.py", "a name that leads out"),
        ("/etc/x", "a name that leads out"),
        ("extension/.npmrc", "a secret"),
    ],
)
def test_what_does_not_belong_there_is_said(name: str, what: str) -> None:
    assert f"{name} is {what}" in unwanted([name])


@pytest.mark.parametrize("name", WHEEL[:3])
def test_what_is_missing_in_a_wheel_is_said(name: str) -> None:
    (told,) = of_wheel([item for item in WHEEL if item != name], PROGRAM)
    assert "is missing" in told


@pytest.mark.parametrize("name", [*EXTENSION[1:7], EXTENSION[8]])
def test_what_is_missing_in_an_extension_is_said(name: str) -> None:
    (told,) = of_extension([item for item in EXTENSION if item != name], PROGRAM)
    assert "is missing" in told


def test_what_is_none_of_the_program_is_said() -> None:
    assert of_wheel([*WHEEL, "benchmarks/x.py"], PROGRAM) == ["benchmarks/x.py is none of the program"]


def test_the_program_is_what_the_checkout_has() -> None:
    found = program()
    assert {*PROGRAM, "ts_shape_server/folders.py", "ts_shape_server/pages/diagnostics.md"} <= set(found)
    assert unwanted(found) == []


def test_another_version_is_said(tmp_path: Path) -> None:
    place = tmp_path / "ts_shape_server-9.9.9-py3-none-any.whl"
    with zipfile.ZipFile(place, "w") as archive:
        for name in (*program(), "ts_shape_server-9.9.9.dist-info/licenses/LICENSE"):
            archive.writestr(name, "")
    assert problems(place) == [f"it is of version 9.9.9, and the program of {__version__}"]
