"""The attack corpus: what hostile code tries at import, what it then sees, and which layers stop it.

Each is run twice: as users have it, where it must be refused, and with its layers switched off, where it must succeed,
so that a test that cannot fail is found. `mild` is then run instead of `body` where the real thing would do harm;
`alone` says why there is no second run. SECRET, OUTSIDE and WORKSPACE are replaced by paths.
"""

from __future__ import annotations

from dataclasses import dataclass

REFUSED = ("PermissionError 1", "PermissionError 13", "OSError 38")


@dataclass(frozen=True)
class Attack:
    """`layers` are those that stop it; `on` and `off` are how the outcome starts with them and without."""

    group: str
    name: str
    layers: str
    body: str
    on: tuple[str, ...] = REFUSED
    off: str = "done"
    mild: str = ""
    alone: str = ""
    root: bool = False


def attack(name: str, layers: str, body: str, **more: object) -> Attack:
    return Attack("", name, layers, body, **more)  # type: ignore[arg-type]  # names of the fields above


def _grouped(**groups: tuple[Attack, ...]) -> tuple[Attack, ...]:
    return tuple(Attack(**{**vars(item), "group": group}) for group, items in groups.items() for item in items)


def clone(call: str) -> str:
    return f"pid = {call}\nif pid == 0: os._exit(0)\nreturn os.waitpid(pid, 0x40000000)[1]"


FILES = (
    attack("read a file outside", "landlock", "return open(SECRET).read()"),
    attack("read through dots", "landlock", "return open(WORKSPACE + '/../secret/key').read()"),
    attack("read through its own root", "landlock", "return open('/proc/self/root' + SECRET).read()"),
    attack("read through its own folder", "landlock", "return open('/proc/self/cwd/../../../' + SECRET).read()"),
    attack("list a folder outside", "landlock", "return os.listdir(OUTSIDE)"),
    attack("list the home folder", "landlock", "import pwd; return os.listdir(pwd.getpwuid(os.getuid()).pw_dir)"),
    attack("read the password file", "landlock", "return open('/etc/passwd').read()"),
    attack("append to a file outside", "landlock", "return open(SECRET, 'a')"),
    attack("truncate a file outside", "landlock seccomp", "return os.truncate(SECRET, 0)"),
    attack(
        "empty a file by opening it to read", "landlock seccomp", "return os.open(SECRET, os.O_RDONLY | os.O_TRUNC)"
    ),
    attack("empty a file that may be read", "landlock seccomp", "return os.open(__file__, os.O_RDONLY | os.O_TRUNC)"),
    attack("empty a file by opening it for nothing", "landlock seccomp", "return os.open(SECRET, os.O_TRUNC | 3)"),
    attack("remove a file outside", "landlock", "return os.unlink(SECRET)"),
    attack("change its mode", "seccomp", "return os.chmod(SECRET, 0o777)"),
    attack("change its owner", "seccomp capabilities", "return os.chown(SECRET, 1, 1)", root=True),
    attack("change its times", "seccomp", "return os.utime(SECRET, (1, 1))"),
    attack("change its attributes", "seccomp", "return os.setxattr(SECRET, 'user.x', b'1')"),
    attack(
        "change its flags",
        "seccomp",
        "import fcntl, struct\nflags = bytearray(8)\nwith open(__file__) as f:\n"
        "    fcntl.ioctl(f, 0x80086601, flags)\n    return fcntl.ioctl(f, 0x40086602, bytes(flags))",
    ),
    attack("change its mode by a new call", "seccomp", "return call(452, -100, SECRET.encode(), 0o777, 0)"),
    attack("make a file outside", "landlock", "return open(OUTSIDE + '/new', 'w')"),
    attack("make a folder outside", "landlock", "return os.mkdir(OUTSIDE + '/new')"),
    attack("write in the workspace", "landlock", "return open(WORKSPACE + '/new', 'w')"),
    attack("write compiled code", "landlock", "import py_compile; return py_compile.compile(__file__, doraise=True)"),
    attack("move a file out", "landlock", "open('mine', 'w').close(); return os.rename('mine', OUTSIDE + '/mine')"),
    attack("take a file in", "landlock", "return os.rename(SECRET, 'mine')"),
    attack("link to a file outside", "landlock seccomp", "os.link(SECRET, 'mine'); return open('mine').read()"),
    attack("a link that points outside", "landlock seccomp", "os.symlink(SECRET, 'm'); return open('m').read()"),
    attack("make a pipe", "landlock seccomp", "return os.mkfifo('pipe')"),
    attack(
        "make a device",
        "landlock seccomp capabilities",
        "return os.mknod('disk', 0o60666, os.makedev(8, 0))",
        mild="return os.mknod('null', 0o20666, os.makedev(1, 3))",
        root=True,
    ),
    attack("shared memory", "landlock", "p = '/dev/shm/ts-shape'; open(p, 'w').close(); return os.unlink(p)"),
    attack("the core pattern", "landlock", "return os.close(os.open('/proc/sys/kernel/core_pattern', os.O_WRONLY))"),
    attack("a new root", "seccomp capabilities", "return os.chroot('.')", root=True),
    attack(
        "mount",
        "landlock seccomp capabilities",
        "return call(165, b'none', b'/mnt', b'tmpfs', 0, None)",
        mild="return call(165, b'none', b'/mnt', b'no such kind', 0, None)",
        off="OSError 19",
        root=True,
    ),
    attack("open by handle", "seccomp capabilities", "return call(304, -100, None, 0)", off="OSError 14", root=True),
    attack(
        "change this program",
        "landlock",
        "import ts_shape_server.contract.wire as w; return open(w.__file__, 'a')",
    ),
    attack("read attributes of a file outside", "seccomp", "return os.listxattr(SECRET)"),
    attack("see what is mounted", "landlock", "return open('/proc/self/mountinfo').read()"),
    attack("read the scratch of others", "landlock", "return os.listdir('..')"),
)

PROCESSES = (
    attack("the parent's environment", "landlock capabilities", "return open(f'/proc/{os.getppid()}/environ').read()"),
    attack(
        "the parent's memory",
        "landlock capabilities",
        "return open(f'/proc/{os.getppid()}/mem', 'rb').read(1)",
        off="OSError 5",
    ),
    attack("the parent's descriptors", "landlock capabilities", "return os.listdir(f'/proc/{os.getppid()}/fd')"),
    attack(
        "trace the parent",
        "landlock seccomp capabilities",
        "return call(101, 16, os.getppid(), None, None)",
        mild="return call(101, 0x4206, os.getppid(), None, None)",
    ),
    attack("write to the parent's memory", "seccomp", "return call(311, os.getppid(), None, 0, None, 0, 0)"),
    attack("a handle of the parent", "seccomp", "return call(434, os.getppid(), 0)"),
    attack("kill the parent", "landlock seccomp", "return os.kill(os.getppid(), 9)", mild="os.kill(os.getppid(), 0)"),
    attack("kill everything", "seccomp", "return os.kill(-1, 9)", alone="it would end what the user runs"),
    attack("kill its group's neighbours", "seccomp", "return os.kill(0, 9)", mild="return os.kill(0, 0)"),
    attack(
        "kill the parent by thread",
        "landlock seccomp",
        "return call(234, os.getppid(), os.getppid(), 9)",
        mild="return call(234, os.getppid(), os.getppid(), 0)",
    ),
    attack(
        "have the kernel signal the parent",
        "seccomp",
        "import fcntl, socket\na, b = socket.socketpair()\nreturn fcntl.fcntl(a, fcntl.F_SETOWN, os.getppid())",
    ),
    attack("shrink the agent's pipe", "seccomp", "import fcntl; return fcntl.fcntl(1, 1031, 4096)"),
    attack("choose the signal", "seccomp", "import fcntl; return fcntl.fcntl(0, 10, 9)"),
    attack(
        "move the parent", "seccomp capabilities", "return os.sched_setaffinity(os.getppid(), os.sched_getaffinity(0))"
    ),
    attack(
        "slow the parent down", "seccomp capabilities", "return os.setpriority(0, os.getppid(), os.getpriority(0, 0))"
    ),
    attack("type into a terminal", "seccomp", "import fcntl; return fcntl.ioctl(0, 0x5412, b'x')", off="OSError 25"),
    attack("the terminal", "landlock", "return open('/dev/tty')", off="OSError 6"),
    attack(
        "raise its limits",
        "seccomp limits",
        "import resource as r; return r.setrlimit(r.RLIMIT_AS, (r.RLIM_INFINITY,) * 2)",
        on=(*REFUSED, "ValueError"),
    ),
    attack(
        "raise its limits by number",
        "seccomp limits",
        "return call(302, 0, 9, ctypes.byref((ctypes.c_ulong * 2)(2**63, 2**63)), None)",
    ),
    attack("outlive the agent", "seccomp", "return call(157, 1, 0, 0, 0, 0)"),
    attack("be looked into", "seccomp", "return call(157, 4, 1, 0, 0, 0)"),
    attack("a new session", "seccomp", "return call(112)", alone="the kernel refuses it to the leader of one as well"),
    attack("take another user's rights", "seccomp", "return call(105, os.getuid())"),
)

NETWORK = (
    attack(
        "connect",
        "landlock seccomp",
        "import socket; return socket.create_connection(('127.0.0.1', 9), 1)",
        off="ConnectionRefusedError",
    ),
    attack("listen", "landlock seccomp", "import socket; return socket.socket().bind(('127.0.0.1', 0))"),
    attack("a datagram", "seccomp", "import socket; return socket.socket(2, 2).sendto(b'x', ('127.0.0.1', 9))"),
    attack(
        "ask a name server",
        "seccomp",
        "import socket; s = socket.socket(2, 2); s.connect(('127.0.0.1', 53)); return s.send(b'x')",
    ),
    attack("a Unix socket", "seccomp", "import socket; return socket.socket(socket.AF_UNIX)"),
    attack(
        "a message to a daemon",
        "seccomp",
        "import socket; a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "return a.sendto(b'x', OUTSIDE + '/daemon')",
        off="FileNotFoundError 2",
    ),
    attack("see who is connected", "landlock", "return open('/proc/self/net/tcp').read()"),
    attack("netlink", "seccomp", "import socket; return socket.socket(16, 3, 0)"),
    attack("a raw call", "seccomp", "return call(41, 2, 1, 0)"),
    attack("System V shared memory", "seccomp", "return call(31, call(29, 0, 4096, 0o1600), 0, None)"),
    attack(
        "a message queue",
        "landlock seccomp limits",
        "call(240, b'ts-shape', 0o102, 0o600, None); return call(241, b'ts-shape')",
    ),
    attack("a ring", "seccomp limits", "return call(425, 8, ctypes.create_string_buffer(120))"),
    attack(
        "a download",
        "landlock seccomp",
        "import urllib.request as u; return u.urlopen('http://127.0.0.1:9/weights', timeout=1)",
        on=("URLError 1", "URLError 13", "URLError None"),
        off="URLError",
        alone="without a network it fails in the same way: `connect` shows the difference",
    ),
)

SPAWNING = (
    attack("fork", "seccomp", clone("os.fork()")),
    attack("a fork bomb", "seccomp", "while True: os.fork()", alone="it is `fork` without end"),
    attack("subprocess", "landlock seccomp", "import subprocess; return subprocess.run(['/bin/true'])"),
    attack("posix_spawn", "landlock seccomp", "return os.posix_spawn('/bin/true', ['true'], {})"),
    attack("exec", "landlock seccomp", "return os.execv('/bin/echo', ['echo', 'OUTCOME done'])"),
    attack("a shell", "landlock seccomp", "if os.system('true'): raise OSError(1, 'no shell')"),
    attack(
        "multiprocessing",
        "seccomp",
        "import multiprocessing as m; p = m.get_context('fork').Process(target=int); p.start(); p.join()",
    ),
    attack(
        "a data loader's workers",
        "landlock seccomp",
        "import torch.utils.data as d; return list(d.DataLoader([1, 2], num_workers=1, timeout=9))",
    ),
    attack("vfork", "seccomp", "return call(58)", alone="the child would run on the stack of its parent"),
    attack("clone", "seccomp", clone("call(56, 17, None, None, None, None)")),
    attack("clone3", "seccomp", clone("call(435, ctypes.create_string_buffer(88), 88)"), on=("OSError 38",)),
    attack(
        "a program in memory",
        "landlock seccomp",
        "fd = os.memfd_create('program')\nwith open('/bin/echo', 'rb') as f: os.write(fd, f.read())\n"
        "return os.execve(fd, ['echo', 'OUTCOME done'], {})",
    ),
    attack(
        "a daemon",
        "seccomp",
        "import time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(60)\n    os._exit(0)",
    ),
    attack(
        "a pickle that starts a program",
        "landlock seccomp",
        "import io, torch\nclass Trap:\n"
        "    def __reduce__(self): return os.posix_spawn, ('/bin/true', ['true'], {})\n"
        "file = io.BytesIO(); torch.save(Trap(), file); file.seek(0)\n"
        "return torch.load(file, weights_only=False)",
    ),
    attack(
        "a thread with descriptors of its own",
        "seccomp",
        "return call(56, 0x00010100, None, None, None, None)",
        off="OSError 22",
    ),
    attack("unshare", "seccomp", "return call(272, 0x10000000)"),
    attack("setns", "seccomp", "return call(308, 0, 0)", off="OSError 22"),
)

MEMORY = ("MemoryError",)
RESOURCES = (
    attack("a large array", "limits", "return len(bytes(8 << 30))", on=MEMORY, mild="return len(bytes(3 << 28))"),
    attack(
        "a loop that allocates",
        "limits",
        "x = []\nwhile True: x.append(bytearray(1 << 24))",
        on=MEMORY,
        alone="it would use up the machine's memory",
    ),
    attack(
        "a large tensor",
        "limits",
        "import torch; return torch.ones(1 << 34).sum()",
        on=("RuntimeError",),
        mild="import torch; return torch.empty(1 << 28).numel()",
    ),
    attack(
        "a large shared mapping",
        "limits",
        "import mmap; return len(mmap.mmap(-1, 16 << 30))",
        on=("OSError 12",),
        mild="import mmap; return len(mmap.mmap(-1, 2 << 30))",
    ),
    attack(
        "many threads",
        "limits",
        "import threading, time\n"
        "for _ in range(10**5): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
        on=("RuntimeError",),
        alone="it would use up the machine's threads",
    ),
    attack("a large file", "limits", "return open('big', 'wb').write(bytes(1 << 26))", on=("OSError 27",)),
    attack("a sparse file", "limits", "return open('big', 'wb').truncate(1 << 30)", on=("OSError 27",)),
    attack(
        "disk without writing",
        "seccomp",
        "f = open('big', 'wb'); return call(285, f.fileno(), 0, 0, 1 << 20)",
        on=("OSError 95",),
    ),
    attack("many descriptors", "limits", "return len([open('/dev/null') for _ in range(400)])", on=("OSError 24",)),
    attack(
        "locked memory",
        "limits capabilities",
        "return call(149, ctypes.create_string_buffer(1 << 15), 1 << 15)",
        on=(*REFUSED, "OSError 12"),
    ),
    attack(
        "the agent's descriptors",
        "descriptors",
        "held = []\nfor n in range(3, 256):\n"
        "    try: held += [n] * os.readlink(f'/proc/self/fd/{n}').startswith('pipe')\n    except OSError: pass\n"
        # Its result, and the two ends to the process that loads what it saves, which is in a sandbox as well.
        "if len(held) <= 3: raise PermissionError(1, 'only its own')\nreturn held",
    ),
)

ATTACKS = _grouped(files=FILES, processes=PROCESSES, network=NETWORK, spawning=SPAWNING, resources=RESOURCES)
