"""Finds the Python interpreter whose torch runs the probes: an ordered list of candidates, the first that has torch
wins.

Asks a candidate by running it with a fixed one-liner, under a deadline. Knows no LSP and imports no torch.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ts_shape_server.deadline import within

SECONDS = 20.0
MINIMUM_TORCH = (2, 2)
MINIMUM_PYTHON = (3, 9)
_PASSED_ON = frozenset(
    (
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TEMP", "TMP"),
        *("LD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "APPDATA"),
        *("LOCALAPPDATA", "PROGRAMDATA", "USERPROFILE", "PYENV_ROOT", "PYENV_VERSION", "PYENV_DIR", "ASDF_DIR"),
        *("ASDF_DATA_DIR", "ASDF_CONFIG_FILE", "MISE_DATA_DIR", "MISE_CONFIG_DIR", "CONDA_PREFIX", "CONDA_EXE"),
        *("CONDA_DEFAULT_ENV", "MAMBA_ROOT_PREFIX", "RYE_HOME", "UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME"),
        *("XDG_CONFIG_HOME", "XDG_CACHE_HOME"),
    )
)
"""Variables that an interpreter, or what only stands for one (a shim), needs in order to start."""
_QUESTION = (
    "import importlib.metadata as m, json, site, sys\n"
    "try: v = m.version('torch')\n"
    "except Exception: v = None\n"
    "u = site.getusersitepackages() if site.ENABLE_USER_SITE else None\n"
    "print(json.dumps([list(sys.version_info[:3]), v, sys.executable, u if u in sys.path else None]))"
)


@dataclass(frozen=True)
class Interpreter:
    """A Python that has torch; `source` says which rule found it, `site` where the user's own packages are, if used."""

    path: str
    python: str
    torch: str
    source: str
    site: str | None = None


@dataclass(frozen=True)
class NoInterpreter:
    """No candidate can run probes. `message` says what was tried and what to do."""

    code: str
    message: str


@dataclass(frozen=True)
class Answer:
    """What an interpreter says of itself; `torch` is None if it has none."""

    python: str
    torch: str | None
    executable: str
    site: str | None


@dataclass(frozen=True)
class _Candidate:
    path: str
    source: str


def candidates(setting: str | None, folders: Sequence[str], environment: Mapping[str, str]) -> Iterator[_Candidate]:
    """In this order:

    1. the setting;
    2. `VIRTUAL_ENV`;
    3. `.venv` and `venv` in the workspace's folders;
    4. `python3` on `PATH`;
    5. the server's own interpreter.
    """
    if setting:
        yield _Candidate(_expanded(setting, folders), "setting")
        return
    active = environment.get("VIRTUAL_ENV")
    if active:
        yield from _of_environment(Path(active), "VIRTUAL_ENV")
    for folder in folders:
        for name in (".venv", "venv"):
            yield from _of_environment(Path(folder) / name, f"{name} of the workspace")
    on_path = shutil.which("python3", path=environment.get("PATH"))
    if on_path:
        yield _Candidate(on_path, "python3 on PATH")
    yield _Candidate(sys.executable, "the server's own")


def _expanded(setting: str, folders: Sequence[str]) -> str:
    path = os.path.expandvars(str(Path(setting).expanduser()))
    for folder in folders:
        path = path.replace("${workspaceFolder}", folder)
    # "./python" is a file of the current folder: `Path` has taken its first part away.
    if os.sep not in path and os.sep not in setting and not Path(path).is_dir():
        return shutil.which(path) or path
    # The workspace's folder first, as an editor means it; then the current one, as a shell does.
    places = [Path(folder, path) for folder in (*folders, ".")]
    found = next((place for place in places if place.exists()), Path(path))
    absolute = os.path.abspath(found)  # noqa: PTH100  # `resolve` would leave the environment through its link
    if found.is_dir():
        return next((item.path for item in _of_environment(Path(absolute), "setting")), absolute)
    return absolute


def _of_environment(folder: Path, source: str) -> Iterator[_Candidate]:
    for place in (folder / "bin" / "python", folder / "Scripts" / "python.exe"):
        # A link that leads nowhere is tried too, so that a broken environment is told.
        if place.is_file() or place.is_symlink():
            yield _Candidate(str(place), source)


async def find(
    setting: str | None, folders: Sequence[str], environment: Mapping[str, str]
) -> Interpreter | NoInterpreter:
    """The first candidate that has torch."""
    tried: list[str] = []
    for candidate in candidates(setting, folders, environment):
        answer = await ask(candidate.path, environment)
        if isinstance(answer, str):
            tried.append(f"{candidate.path} ({candidate.source}): {answer}")
        elif answer.torch is None:
            tried.append(f"{candidate.path} ({candidate.source}): has no torch")
        elif _version(answer.torch) < MINIMUM_TORCH:
            tried.append(f"{candidate.path} ({candidate.source}): has torch {answer.torch}, and 2.2 or later is needed")
        else:
            path = answer.executable or candidate.path
            return Interpreter(path, answer.python, answer.torch, candidate.source, answer.site)
    listed = "; ".join(tried)
    advice = "Install torch in one of them, or name a Python that has it (setting `interpreter`, or --interpreter)."
    if setting:
        advice = (
            "Name a Python that has torch: in the setting `interpreter`, or with --interpreter on the command line."
        )
    return NoInterpreter("no-torch", f"No Python with torch was found. Tried {listed}. {advice}")


async def ask(path: str, environment: Mapping[str, str]) -> Answer | str:
    """What the interpreter at `path` says of itself; a text says why there is no answer.

    It is run outside of any workspace, so that no file there is taken for one of the standard library, and without the
    secrets of the environment: it may be the workspace's own.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *(path, "-B", "-E", "-c", _QUESTION),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={name: value for name, value in environment.items() if name.upper() in _PASSED_ON},
            cwd=Path(sys.executable).anchor or os.sep,
        )
    except (OSError, ValueError) as error:
        return _not_started(Path(path), error)
    try:
        output, _ = await within(process.communicate(), SECONDS)
    except asyncio.TimeoutError:
        return f"did not answer within {SECONDS:.0f} s"
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    try:
        version, torch, executable, site = json.loads(output.splitlines()[-1])
    except (ValueError, TypeError, IndexError):
        return f"is no working Python (it ended with code {process.returncode})"
    if tuple(version) < MINIMUM_PYTHON:
        return f"is Python {'.'.join(map(str, version))}, and 3.9 or later is needed"
    return Answer(".".join(map(str, version)), torch, executable, site)


def _not_started(path: Path, error: Exception) -> str:
    """Why a path cannot be run, for the one who wrote it down."""
    if path.is_symlink() and not path.exists():
        return f"is a link to {path.readlink()}, which is not there: make the environment anew"
    if not path.exists():
        return "is not there"
    if path.is_dir():
        return "is a folder, and no environment: it has no bin/python"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _version(text: str) -> tuple[int, ...]:
    """The first two numbers of a version; (0,) if it does not start with numbers."""
    return tuple(int(part) for part in text.split("+")[0].split(".")[:2] if part.isdigit()) or (0,)
