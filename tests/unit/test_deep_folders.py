"""A workspace is a stranger's too: folders that are nested without end do not hold up or end the server."""

from __future__ import annotations

import os
from pathlib import Path

from ts_shape_server import folders
from ts_shape_server.workspace import Workspace


def test_files_are_found_in_a_workspace_whose_folders_never_end(tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    (root / "package").mkdir(parents=True)
    (root / "package" / "net.py").touch()
    inner = os.open(root, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("deep", dir_fd=inner)
        outer, inner = inner, os.open("deep", os.O_RDONLY, dir_fd=inner)
        os.close(outer)
    os.close(inner)
    try:
        assert Workspace((str(root),)).files(str(root)) == [str(root / "package" / "net.py")]
    finally:
        # What removes the folders of tests recurses.
        folders.remove(str(root))
