"""Hostile modules, each with what the server sees of it: what it tried was refused, and everything else goes on."""

from __future__ import annotations

import platform
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from probing_helpers import Prober

from ts_shape_server.agent.sandbox import policy

pytestmark = pytest.mark.skipif(policy.available().tier != policy.FULL, reason="the kernel lacks a layer")

TRIED = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    result = libc.syscall(number, *arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def attempt():
{body}
try:
    print("OUTCOME done", attempt())
except BaseException as error:
    print("OUTCOME", type(error).__name__, getattr(error, "errno", None))
"""


@pytest.fixture
def tried(prober: Any, tmp_path: Path, survivors: Callable[[], list[int]]) -> Callable[..., str]:
    """`tried(code)`: how an attempt ended that a module makes at import; a secret lies outside of the workspace."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("private")
    (tmp_path / "work").mkdir()

    def attempt(body: str) -> str:
        if "call(" in body and platform.machine() != "x86_64":
            pytest.skip("the numbers of system calls are those of x86_64")
        body = body.replace("SECRET", repr(str(tmp_path / "secret" / "key")))
        body = body.replace("OUTSIDE", repr(str(tmp_path / "secret")))
        body = body.replace("WORKSPACE", repr(str(tmp_path / "work")))
        source = TRIED.replace("{body}", textwrap.indent(textwrap.dedent(body), "    "))
        agent = prober.agent_pid
        prober.service._agents[0].output._lines.clear()
        prober.imported(tmp_path / "work", source)
        outcome = prober.printed("OUTCOME").removeprefix("OUTCOME ")
        assert prober.agent_pid == agent, "the agent did not live through it"
        assert survivors() == []
        return str(outcome)

    return attempt


@pytest.fixture(scope="module")
def prober() -> Iterator[Any]:
    """With time enough for torch's own imports at the top of a file."""
    made = Prober(wall=20.0, memory=512 << 20)
    made.run(made.service.start())
    yield made
    made.close()


REFUSED = ("PermissionError 1", "PermissionError 13")

FILES = {
    "read a file outside": "return open(SECRET).read()",
    "read through dots": "return open(WORKSPACE + '/../secret/key').read()",
    "read through its own root": "return open('/proc/self/root' + SECRET).read()",
    "read through its own folder": "return open('/proc/self/cwd/../../../' + SECRET).read()",
    "list a folder outside": "return os.listdir(OUTSIDE)",
    "list the home folder": "import pwd; return os.listdir(pwd.getpwuid(os.getuid()).pw_dir)",
    "read the password file": "return open('/etc/passwd').read()",
    "append to a file outside": "return open(SECRET, 'a')",
    "truncate a file outside": "return os.truncate(SECRET, 0)",
    "remove a file outside": "return os.unlink(SECRET)",
    "change its mode": "return os.chmod(SECRET, 0o777)",
    "change its owner": "return os.chown(SECRET, 1, 1)",
    "change its times": "return os.utime(SECRET, (1, 1))",
    "change its attributes": "return os.setxattr(SECRET, 'user.x', b'1')",
    "change its mode by a new call": "return call(452, -100, SECRET.encode(), 0o777, 0)",
    "make a file outside": "return open(OUTSIDE + '/new', 'w')",
    "make a folder outside": "return os.mkdir(OUTSIDE + '/new')",
    "write in the workspace": "return open(WORKSPACE + '/new', 'w')",
    "write compiled code": "import py_compile; return py_compile.compile(__file__, doraise=True)",
    "move a file out": "open('mine', 'w').close(); return os.rename('mine', OUTSIDE + '/mine')",
    "take a file in": "return os.rename(SECRET, 'mine')",
    "link to a file outside": "os.link(SECRET, 'mine'); return open('mine').read()",
    "a link that points outside": "os.symlink(SECRET, 'mine'); return open('mine').read()",
    "make a pipe": "return os.mkfifo('pipe')",
    "make a device": "return os.mknod('disk', 0o60666, os.makedev(8, 0))",
    "shared memory": "return open('/dev/shm/x', 'w')",
    "the core pattern": "return open('/proc/sys/kernel/core_pattern', 'w')",
    "a new root": "return os.chroot('.')",
    "mount": "return call(165, b'none', b'/mnt', b'tmpfs', 0, None)",
    "open by handle": "return call(304, -100, None, 0)",
}

PROCESSES = {
    "the parent's environment": "return open(f'/proc/{os.getppid()}/environ').read()",
    "the parent's memory": "return open(f'/proc/{os.getppid()}/mem', 'rb').read(1)",
    "the parent's descriptors": "return os.listdir(f'/proc/{os.getppid()}/fd')",
    "trace the parent": "return call(101, 16, os.getppid(), None, None)",
    "write to the parent's memory": "return call(311, os.getppid(), None, 0, None, 0, 0)",
    "a handle of the parent": "return call(434, os.getppid(), 0)",
    "kill the parent": "return os.kill(os.getppid(), 9)",
    "kill everything": "return os.kill(-1, 9)",
    "kill its group's neighbours": "return os.kill(0, 9)",
    "kill the parent by thread": "return call(234, os.getppid(), os.getppid(), 9)",
    "type into a terminal": "import fcntl; return fcntl.ioctl(0, 0x5412, b'x')",
    "raise its limits": "import resource as r; return r.setrlimit(r.RLIMIT_AS, (r.RLIM_INFINITY,) * 2)",
    "raise its limits by number": "return call(302, 0, 9, ctypes.byref((ctypes.c_ulong * 2)(2**63, 2**63)), None)",
    "outlive the agent": "return call(157, 1, 0, 0, 0, 0)",
    "be looked into": "return call(157, 4, 1, 0, 0, 0)",
    "a new session": "return call(112)",
    "take another user's rights": "return call(105, 0)",
}

NETWORK = {
    "connect": "import socket; return socket.create_connection(('127.0.0.1', 80), 1)",
    "listen": "import socket; return socket.socket().bind(('127.0.0.1', 0))",
    "a datagram": "import socket; return socket.socket(2, 2).sendto(b'x', ('127.0.0.1', 9))",
    "a Unix socket": "import socket; return socket.socket(socket.AF_UNIX)",
    "netlink": "import socket; return socket.socket(16, 3, 0)",
    "a raw call": "return call(41, 2, 1, 0)",
    "System V shared memory": "return call(29, 0, 4096, 0o1600)",
    "a message queue": "return call(240, b'q', 0o102, 0o600, None)",
    "a ring": "return call(425, 8, ctypes.create_string_buffer(120))",
}

SPAWNING = {
    "fork": "return os.fork()",
    "subprocess": "import subprocess; return subprocess.run(['/bin/true'])",
    "posix_spawn": "return os.posix_spawn('/bin/true', ['true'], {})",
    "exec": "return os.execv('/bin/true', ['true'])",
    "multiprocessing": "import multiprocessing as m; p = m.get_context('fork').Process(target=print); p.start()",
    "a data loader's workers": (
        "import torch.utils.data as d; return list(d.DataLoader([1, 2], num_workers=2, timeout=1))"
    ),
    "vfork": "return call(58)",
    "clone": "return call(56, 17, None, None, None, None)",
    "unshare": "return call(272, 0x10000000)",
    "setns": "return call(308, 0, 0)",
}


@pytest.mark.parametrize("body", [pytest.param(code, id=name) for name, code in {**FILES, **PROCESSES}.items()])
def test_files_and_processes_are_out_of_reach(tried: Callable[..., str], tmp_path: Path, body: str) -> None:
    before = (tmp_path / "secret" / "key").stat()
    outcome = tried(body)
    assert outcome.startswith((*REFUSED, "OSError 38", "OSError 18", "ValueError")), outcome
    assert (tmp_path / "secret" / "key").read_text() == "private"
    after = (tmp_path / "secret" / "key").stat()
    assert (before.st_mode, before.st_mtime, before.st_nlink) == (after.st_mode, after.st_mtime, after.st_nlink)
    assert [path.name for path in (tmp_path / "secret").iterdir()] == ["key"]
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["net.py"]


@pytest.mark.parametrize("body", [pytest.param(code, id=name) for name, code in {**NETWORK, **SPAWNING}.items()])
def test_no_network_and_no_new_processes(tried: Callable[..., str], body: str) -> None:
    outcome = tried(body)
    assert outcome.startswith((*REFUSED, "OSError 38")), outcome


def test_new_ways_to_clone_are_unknown_here(tried: Callable[..., str]) -> None:
    assert tried("return call(435, ctypes.create_string_buffer(88), 88)") == "OSError 38"
    assert tried("return os.memfd_create('program')") == "OSError 38"


def test_a_program_cannot_be_run_from_a_shell(tried: Callable[..., str]) -> None:
    assert tried("return os.system('touch ran') != 0 and not os.path.exists('ran')") == "done True"


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
    assert tried(body) == "done ['pipe']"


RESOURCES = {
    "a large array": ("x = bytearray(8 << 30)", "MemoryError"),
    "a loop that allocates": ("x = []\n    while True: x.append(bytearray(1 << 24))", "MemoryError"),
    "a large tensor": ("import torch; return torch.ones(1 << 34).sum()", "RuntimeError"),
    "a large shared mapping": ("import mmap; return mmap.mmap(-1, 16 << 30)", "OSError 12"),
    "many threads": (
        "import threading, time\n"
        "    for _ in range(10**5): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
        "RuntimeError",
    ),
    "a large file": ("open('big', 'wb').write(bytes(1 << 26))", "OSError 27"),
    "a sparse file": ("open('big', 'wb').truncate(1 << 40)", "OSError 27"),
    "many descriptors": ("x = [open('/dev/null') for _ in range(10**4)]", "OSError 24"),
    "locked memory": ("return call(149, ctypes.create_string_buffer(1 << 20), 1 << 20)", "OSError"),
}


@pytest.mark.parametrize(("body", "expected"), [pytest.param(*case, id=name) for name, case in RESOURCES.items()])
def test_resources_are_bounded(tried: Callable[..., str], body: str, expected: str) -> None:
    outcome = tried(textwrap.dedent("    " + body))
    assert outcome.startswith((expected, "PermissionError")), outcome


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


def test_the_scratch_of_one_probe_is_hidden_from_the_next(tried: Callable[..., str]) -> None:
    assert tried("return os.listdir('..')").startswith(REFUSED)
    assert tried("return len(os.listdir('.'))") == "done 0"


def test_the_files_of_this_program_and_of_the_agent_stay(tried: Callable[..., str]) -> None:
    outcome = tried("import ts_shape_server.probing.wire as w; return open(w.__file__, 'a')")
    assert outcome.startswith(REFUSED)
