"""``python -m ts_shape_server`` and the ``ts-shape-server`` command."""

from __future__ import annotations

import sys

from ts_shape_server.cli import main as command_line


def main() -> None:
    sys.exit(command_line())


if __name__ == "__main__":
    main()
