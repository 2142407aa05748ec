"""Who may import whom, and that each of these checks can fail."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ts_shape_server"
OLDEST_AGENT = (3, 9)


def modules_after(statement: str, root: Path = ROOT) -> set[str]:
    """The modules that a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(root)}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=root
    )
    return set(run.stdout.split())


def too_new(folder: Path) -> list[str]:
    """The files of a folder, or the one, that the oldest Python of the agent cannot parse."""
    found = []
    for path in [folder] if folder.is_file() else sorted(folder.rglob("*.py")):
        try:
            ast.parse(path.read_text(encoding="utf-8"), feature_version=OLDEST_AGENT)
        except SyntaxError as error:
            found.append(f"{path.name}: {error}")
    return found


def broken_contracts(folder: Path, configuration: Path) -> str:
    """What import-linter says against a package; empty when every contract is kept."""
    command = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    run = subprocess.run(
        [sys.executable, "-c", command, "--config", str(configuration), "--no-cache"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=folder,
    )
    return "" if run.returncode == 0 else run.stdout + run.stderr


def test_the_contracts_between_the_layers_are_kept() -> None:
    assert broken_contracts(ROOT, ROOT / "pyproject.toml") == ""


def test_a_broken_contract_is_found(tmp_path: Path) -> None:
    package = tmp_path / "guarded"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "low.py").write_text("import guarded.high\n")
    (package / "high.py").write_text("")
    (tmp_path / "contracts.toml").write_text(
        '[tool.importlinter]\nroot_package = "guarded"\n[[tool.importlinter.contracts]]\nname = "downward"\n'
        'type = "layers"\nlayers = ["guarded.high", "guarded.low"]\n'
    )
    assert "guarded.low is not allowed to import guarded.high" in broken_contracts(
        tmp_path, tmp_path / "contracts.toml"
    )


def test_the_server_process_never_holds_torch_or_the_agent() -> None:
    statement = "import ts_shape_server.lsp.transport, ts_shape_server.cli.commands"
    held = modules_after(statement)
    assert "ts_shape_server.lsp.server" in held
    assert "torch" not in held
    assert not [name for name in held if name.startswith("ts_shape_server.agent")]


def test_a_module_that_is_held_is_found() -> None:
    assert "decimal" in modules_after("import decimal")


@pytest.mark.parametrize("name", ["agent", "contract", "folders.py"])
def test_what_runs_in_the_users_interpreter_parses_on_the_oldest(name: str) -> None:
    assert too_new(PACKAGE / name) == []


def test_syntax_that_is_too_new_is_found(tmp_path: Path) -> None:
    (tmp_path / "new.py").write_text("match 1:\n    case 1:\n        pass\n")
    assert [line.partition(":")[0] for line in too_new(tmp_path)] == ["new.py"]


WATCHES_FROM_OUTSIDE = frozenset(["clock.py", "guards.py", "loop.py", "children.py", "waiting.py"])
"""What keeps time for others: the clock itself, and the agent's side, which waits for children by the wall."""


def keepers_of_time(folder: Path) -> list[str]:
    """The files below a folder that read a clock by themselves: the sandbox's limits are the system's own."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        if path.name in WATCHES_FROM_OUTSIDE or path.parent.name == "sandbox":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [item.name for item in node.names] if isinstance(node, ast.Import) else []
            if "time" in names or (isinstance(node, ast.ImportFrom) and node.module == "time"):
                found.append(path.name)
    return found


def test_one_module_knows_clocks() -> None:
    assert keepers_of_time(PACKAGE / "agent") == []


def test_a_module_that_reads_a_clock_is_found(tmp_path: Path) -> None:
    (tmp_path / "hasty.py").write_text("import time\n")
    (tmp_path / "sly.py").write_text("from time import monotonic\n")
    (tmp_path / "clock.py").write_text("import time\n")
    assert keepers_of_time(tmp_path) == ["hasty.py", "sly.py"]


def spenders_of_seconds(folder: Path) -> list[str]:
    """The files below a folder that say themselves for how many seconds something may work."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = (
                [item.id for item in node.targets if isinstance(item, ast.Name)] if isinstance(node, ast.Assign) else []
            )
            limits = isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("time_limit", "waiting_limit"))
            until = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and "now()" in ast.unparse(node.left)
            numbers = [item for item in ast.walk(node) if isinstance(item, ast.Constant) and type(item.value) is float]
            named = until and isinstance(node.right, ast.Name) and node.right.id.isupper()
            if any(name.endswith("SECONDS") for name in names) or named or ((limits or until) and numbers):
                found.append(path.name)
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("room", ["infer", "script", "saved"])
def test_one_table_says_what_steps_may_spend(room: str) -> None:
    assert spenders_of_seconds(PACKAGE / "agent" / room) == []


def test_a_step_that_says_itself_what_it_may_spend_is_found(tmp_path: Path) -> None:
    (tmp_path / "named.py").write_text("SLOW_SECONDS = 3\n")
    (tmp_path / "limited.py").write_text("with time_limit(min(2.0, left)):\n    run()\n")
    (tmp_path / "until.py").write_text("deadline = clock.now() + 1.5\n")
    (tmp_path / "called.py").write_text("PATIENCE = 3600.0\ndeadline = clock.now() + PATIENCE\n")
    (tmp_path / "shared.py").write_text(
        "with time_limit(shares.RUN.of(left)):\n    run()\nuntil = now() + shares.INDICES\n"
    )
    assert spenders_of_seconds(tmp_path) == ["called.py", "limited.py", "named.py", "until.py"]
