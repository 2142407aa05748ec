"""Environments for tests that need more than one interpreter with torch: each has this one's packages and its own."""

from __future__ import annotations

import sysconfig
import venv
from pathlib import Path


def made(folder: Path, **modules: str) -> Path:
    """An environment in a folder, with modules of these names and texts; gives its interpreter."""
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    packages = next((folder / "lib").glob("python*/site-packages"))
    (packages / "others.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n{sysconfig.get_paths()['platlib']}\n")
    for name, text in modules.items():
        (packages / f"{name}.py").write_text(text)
    return folder / "bin" / "python"
