"""Hostile modules, each with what the server sees of it: what it tried was refused, and everything else goes on.

Each is run again with the layers switched off that stop it: then it must succeed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attempts
import pytest
import weakened
from attacks import ATTACKS, Attack
from probing_helpers import Prober

from ts_shape_server.agent.sandbox import policy
from ts_shape_server.project import options, project_settings
from ts_shape_server.settings import parse

pytestmark = pytest.mark.skipif(policy.available().tier != policy.FULL, reason="the kernel lacks a layer")

LIMITS: dict[str, Any] = {"wall": 20.0, "memory": 512 << 20}
"""With time enough for torch's own imports at the top of a file."""


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    yield from running(Prober(**LIMITS))


@pytest.fixture(scope="module")
def weak_prober(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prober]:
    """Its agent goes without the layers that a workspace names."""
    yield from running(weakened.prober(tmp_path_factory.mktemp("interpreter"), **LIMITS))


def running(made: Prober) -> Iterator[Prober]:
    made.run(made.service.start())
    assert made.service.problem is None, made.service.problem
    yield made
    made.close()


@pytest.fixture
def tried(prober: Prober, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., str]:
    """`tried(code)`: how an attempt ended that a module makes at import; a secret lies outside of the workspace."""

    def attempt(body: str, without: str = "") -> str:
        return attempts.attempt(request.getfixturevalue("weak_prober") if without else prober, tmp_path, body, without)

    attempts.lay_out(tmp_path)
    return attempt


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_refused(tried: Callable[..., str], tmp_path: Path, attack: Attack) -> None:
    with attempts.nothing_changed(tmp_path):
        outcome = tried(attack.body)
    assert outcome.startswith(attack.on), outcome


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if not attack.alone], ids=lambda attack: attack.name)
def test_an_attack_succeeds_without_the_layers_that_stop_it(tried: Callable[..., str], attack: Attack) -> None:
    if attack.root and os.geteuid() != 0:
        pytest.skip("without the sandbox, too, only root may do this")
    outcome = tried(attack.mild or attack.body, without=attack.layers)
    assert outcome.startswith(attack.off), outcome


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            "import threading; t = threading.Thread(target=print); t.start(); t.join(); return 1", id="threads"
        ),
        pytest.param("import socket; a, b = socket.socketpair(); a.send(b'1'); return int(b.recv(1))", id="socketpair"),
        pytest.param("import asyncio; return asyncio.run(asyncio.sleep(0, 1))", id="asyncio"),
        pytest.param(
            "open('mine', 'w').write('1'); os.replace('mine', 'm'); return int(open('m').read())", id="scratch"
        ),
        pytest.param("import tempfile; f = tempfile.TemporaryFile(); return f.write(b'1')", id="temporary file"),
        pytest.param("import resource; return int(bool(resource.getrlimit(resource.RLIMIT_AS)))", id="reading limits"),
        pytest.param("return len(os.urandom(1))", id="random"),
        pytest.param(
            "import signal; signal.signal(10, lambda *_: 1); os.kill(os.getpid(), 10); return 1", id="own signal"
        ),
        pytest.param(
            "import sqlite3; return sqlite3.connect(':memory:').execute('select 1').fetchone()[0]", id="sqlite"
        ),
        pytest.param("import numpy; return int(numpy.ones(1).sum())", id="numpy"),
    ],
)
def test_what_ordinary_code_needs_is_allowed(tried: Callable[..., str], body: str) -> None:
    assert tried(body) == "done 1"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            "import torch; return list(torch.nn.Conv2d(3, 4, 3)(torch.ones(1, 3, 8, 8)).shape)[1] // 4", id="eager"
        ),
        pytest.param(
            "import torch; m = torch.jit.script(torch.nn.Linear(2, 1)); torch.jit.save(m, 'm.pt');"
            " return torch.jit.load('m.pt')(torch.ones(1, 2)).numel()",
            id="script, save, load",
        ),
        pytest.param(
            "import torch; x = torch.ones(1, 2); return torch.jit.trace(torch.nn.Linear(2, 1), x)(x).numel()",
            id="trace",
        ),
        pytest.param(
            "import torch; p = torch.export.export(torch.nn.Linear(2, 1), (torch.ones(1, 2),));"
            " torch.export.save(p, 'm.pt2'); return torch.export.load('m.pt2').module()(torch.ones(1, 2)).numel()",
            id="export",
        ),
        pytest.param(
            "import torch; from torch._subclasses import FakeTensorMode\n"
            "with FakeTensorMode():\n    return list(torch.nn.Linear(2, 1)(torch.ones(5, 2)).shape)[1]",
            id="fake tensors",
        ),
        pytest.param(
            "import torch; torch.save({'a': torch.ones(1)}, 'w'); return int(torch.load('w')['a'])", id="save"
        ),
    ],
)
def test_torch_works_inside(tried: Callable[..., str], body: str) -> None:
    assert tried(body) == "done 1"


def test_secrets_of_the_environment_are_not_there(
    make_prober: Callable[..., Any], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hidden-value")
    prober = make_prober(environment={"GIVEN": "by the settings"})
    source = """
import os
known = open('/proc/self/environ').read() + str(os.environ)
print('ENV', 'hidden-value' in known, os.environ['GIVEN'])
"""
    prober.imported(tmp_path, source)
    assert prober.printed("ENV") == "ENV False by the settings"


WRITES = "TORCH_LOGS_OUT"
"""Of a variable that torch reads when it is imported: it writes its log to this file."""


@pytest.mark.parametrize("whose", ["project", "user"])
def test_a_variable_of_the_workspace_is_not_there_before_the_sandbox_is(
    make_prober: Callable[..., Any], tmp_path: Path, whose: str
) -> None:
    """The second run shows what a variable does that is there when the agent starts."""
    written = tmp_path / "outside"
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "pyproject.toml").write_text(
        f"[tool.ts-shape]\nenv = {{{WRITES} = {str(written)!r}, MODE = 'large', OPENSSL_CONF = 'evil.cnf'}}\n"
    )
    layer, problems = project_settings(str(tmp_path / "work"))
    assert problems == ()
    given = options(parse(layer)[0], (str(tmp_path / "work"),), None)
    assert not given.environment
    environment = {} if whose == "project" else dict(given.probe_environment)
    prober = make_prober(environment=environment, probe_environment=given.probe_environment)
    prober.imported(tmp_path / "work", "import os; print('MODE', os.environ['MODE'], os.environ['OPENSSL_CONF'])")
    assert prober.printed("MODE") == "MODE large evil.cnf"
    at_start = Path(f"/proc/{prober.agent_pid}/environ").read_text()
    assert ("evil.cnf" in at_start, written.exists()) == ((whose == "user"),) * 2


def test_only_its_own_descriptors_are_open(tried: Callable[..., str]) -> None:
    body = """
    found = []
    for number in range(3, 256):
        try:
            found.append(os.readlink(f'/proc/self/fd/{number}').split(':')[0])
        except OSError:
            continue
    return found
    """
    # Its result, and the two ends to the process that loads what it saves.
    assert tried(body) == "done ['pipe', 'pipe', 'pipe']"


@pytest.mark.parametrize("without", ["", "streams"])
def test_how_the_agent_writes_cannot_be_changed(
    tried: Callable[..., str], request: pytest.FixtureRequest, without: str
) -> None:
    """Flags belong to what is open, which a fork shares; the second run shows that they would arrive."""
    body = (
        "import fcntl\nfor n in range(3): fcntl.fcntl(n, fcntl.F_SETFL, fcntl.fcntl(n, fcntl.F_GETFL) | os.O_NONBLOCK)"
    )
    assert tried(body, without=without).startswith("done")
    agent = request.getfixturevalue("weak_prober" if without else "prober").agent_pid
    texts = [Path(f"/proc/{agent}/fdinfo/{number}").read_text() for number in range(3)]
    flags = [int(text.split("flags:")[1].split()[0], 8) for text in texts]
    assert [bool(flag & os.O_NONBLOCK) for flag in flags] == [bool(without)] * 3


def test_no_core_is_dumped(prober: Any, tmp_path: Path) -> None:
    prober.imported(tmp_path, "import os; os.abort()")
    assert [path.name for path in tmp_path.iterdir()] == ["net.py"]


def test_many_small_files_are_removed(prober: Any, tmp_path: Path) -> None:
    source = (
        "import os\nfor n in range(3000): open(f'f{n}', 'w').close()\nos.makedirs('a/b/c')\nprint('MADE', os.getcwd())"
    )
    prober.imported(tmp_path, source)
    place = Path(prober.printed("MADE").split()[1])
    assert not place.exists()
    assert place.parent.exists()


@pytest.mark.parametrize("depth", [40, 1200], ids=["few", "more than Python recurses"])
def test_folders_inside_of_each_other_are_removed_and_the_agent_goes_on(tried: Callable[..., str], depth: int) -> None:
    """In scratch as it is, and so deep that neither a path nor a recursion leads there."""
    nested = f"print('OUTCOME begun')\nfor _ in range({depth}): os.mkdir('folder'); os.chdir('folder')"
    assert tried(nested) in ("begun", "done None")
    assert tried("return 1") == "done 1"


def test_each_probe_starts_with_an_empty_scratch(tried: Callable[..., str]) -> None:
    assert tried("open('mine', 'w').close(); return len(os.listdir('.'))") == "done 1"
    assert tried("return len(os.listdir('.'))") == "done 0"


def test_the_page_lists_every_attack_with_the_layers_that_stop_it() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    for attack in ATTACKS:
        assert f"| {attack.group} | {attack.name} | {', '.join(attack.layers.split())} |" in page
