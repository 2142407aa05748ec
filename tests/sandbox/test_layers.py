"""The filter as a table: what it lets through and refuses is decided by its own instructions, run here one by one."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import re
import struct
from pathlib import Path

import pytest

from ts_shape_server.agent import loop
from ts_shape_server.agent.sandbox import calls, landlock, linux, policy, seccomp, witness

MACHINES = ("x86_64", "aarch64")
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, KILL, EPERM, ENOSYS, EOPNOTSUPP = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026, 0x0005005F
PID = 4321
PRCTL = (1, 4, 8, 22, 24, 28, 35, 36, 62)
FCNTL = (8, 10, 15, 1024, 1026, 1031, 1040)
"""Options and requests that must be refused."""


def decision(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the filter answers to a call: its program, interpreted as the kernel would."""
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("=IIQ6Q", number, architecture or ARCHITECTURES[machine], 0, *padded)
    steps = [struct.unpack("=HBBI", step) for step in seccomp.program(machine, PID)]
    accumulator, place = 0, 0
    while True:
        code, if_true, if_false, value = steps[place]
        place += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif code == 0x54:
            accumulator &= value
        elif code == 0x06:
            return int(value)
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            place += if_true if holds else if_false


@pytest.mark.parametrize("machine", MACHINES)
def test_every_call_of_the_tables_is_refused(machine: str) -> None:
    for table, answer in ((calls.REFUSED, EPERM), (calls.ABSENT, ENOSYS), (calls.UNSUPPORTED, EOPNOTSUPP)):
        for call in table:
            number = getattr(call, machine)
            if number is not None:
                assert decision(machine, number) == answer, call.name


@pytest.mark.parametrize("machine", MACHINES)
def test_no_number_stands_for_two_calls(machine: str) -> None:
    rows = [*calls.REFUSED, *calls.ABSENT, *calls.UNSUPPORTED, *calls.CHECKED]
    named = {(row.name, getattr(row, machine)) for row in rows if getattr(row, machine) is not None}
    assert len({number for _, number in named}) == len({name for name, _ in named}) == len(named)
    answered = [row.name for row in (*calls.REFUSED, *calls.ABSENT, *calls.UNSUPPORTED)]
    assert not {row.name for row in calls.CHECKED} & set(answered)
    assert len(set(answered)) == len(answered)


def test_every_row_says_why() -> None:
    rows = [*calls.REFUSED, *calls.ABSENT, *calls.UNSUPPORTED, *calls.CHECKED]
    assert all(row.reason for row in rows)


@pytest.mark.parametrize(
    ("machine", "headers"),
    [
        ("x86_64", ["/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"]),
        ("aarch64", ["/usr/include/asm-generic/unistd.h"]),
    ],
)
def test_the_numbers_are_those_of_the_kernel(machine: str, headers: list[str]) -> None:
    text = next((Path(place).read_text() for place in headers if Path(place).exists()), None)
    if text is None:
        pytest.skip("the kernel's headers are not installed")
    known = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    for row in (*calls.REFUSED, *calls.ABSENT, *calls.UNSUPPORTED, *calls.CHECKED):
        assert known.get(row.name, getattr(row, machine)) == getattr(row, machine), row.name


@pytest.mark.parametrize(
    ("x86", "arm", "arguments", "answer"),
    [
        pytest.param(0, 63, (), ALLOW, id="read"),
        pytest.param(9, 222, (), ALLOW, id="mmap"),
        pytest.param(202, 98, (), ALLOW, id="futex"),
        pytest.param(53, 199, (1, 1), ALLOW, id="socketpair of Unix"),
        pytest.param(53, 199, (1, 0o2004001), ALLOW, id="socketpair as asyncio makes it"),
        pytest.param(53, 199, (1, 5), ALLOW, id="socketpair of packets"),
        pytest.param(53, 199, (1, 2), EPERM, id="socketpair of datagrams"),
        pytest.param(53, 199, (1, 0o2000002), EPERM, id="socketpair of datagrams that is closed by exec"),
        pytest.param(53, 199, (1, 3), EPERM, id="socketpair that is raw, which is one of datagrams"),
        pytest.param(53, 199, (2, 1), EPERM, id="socketpair of another family"),
        pytest.param(56, 220, (0x003D0F00,), ALLOW, id="a thread"),
        pytest.param(56, 220, (0x003D0B00,), EPERM, id="a thread with descriptors of its own"),
        pytest.param(56, 220, (0x11,), EPERM, id="a process"),
        pytest.param(56, 220, (0x10000000,), EPERM, id="a namespace"),
        pytest.param(62, 129, (PID,), ALLOW, id="kill itself"),
        pytest.param(62, 129, (PID - 1,), EPERM, id="kill another"),
        pytest.param(62, 129, (2**64 - PID,), EPERM, id="kill its group"),
        pytest.param(62, 129, (0,), EPERM, id="kill its own group"),
        pytest.param(234, 131, (PID, 5, 6), ALLOW, id="signal a thread of its own"),
        pytest.param(234, 131, (1, 1, 9), EPERM, id="signal another's thread"),
        pytest.param(157, 167, (15,), ALLOW, id="name a thread"),
        *[
            pytest.param(157, 167, (option,), EPERM, id=f"prctl {option}")
            for option in (1, 4, 8, 22, 24, 28, 35, 36, 62)
        ],
        pytest.param(157, 167, (0x59616D61,), EPERM, id="choose a tracer"),
        pytest.param(302, 261, (0, 9, 0, 1), ALLOW, id="read a limit"),
        pytest.param(302, 261, (0, 9, 0x7FFF_0000_1000, 0), EPERM, id="set a limit"),
        pytest.param(302, 261, (0, 9, 1 << 40, 0), EPERM, id="set a limit by a high address"),
        pytest.param(16, 29, (0, 0x5401), ALLOW, id="ask about a terminal"),
        *[pytest.param(16, 29, (0, request), EPERM, id=hex(request)) for request in (0x5412, 0x541C, 0x540E)],
        *[pytest.param(16, 29, (0, request), EPERM, id=hex(request)) for request in (0x8901, 0x8902, 0x40086602)],
        *[
            pytest.param(72, 25, (0, request), EPERM, id=f"fcntl {request}")
            for request in (8, 10, 15, 1024, 1026, 1031, 1040)
        ],
        *[pytest.param(72, 25, (0, request), ALLOW, id=f"fcntl {request} is") for request in (1, 2, 3, 4, 6, 37)],
        pytest.param(72, 25, (0, 1030), ALLOW, id="fcntl to copy a descriptor"),
        pytest.param(257, 56, (0, 0, 0o101001), ALLOW, id="open to write anew"),
        pytest.param(257, 56, (0, 0, 0o2000000), ALLOW, id="open to read"),
        pytest.param(257, 56, (0, 0, 0o2001000), EPERM, id="open to read and empty"),
        pytest.param(257, 56, (0, 0, 0o3), EPERM, id="open for neither reading nor writing"),
        pytest.param(257, 56, (0, 0, 0o1003), EPERM, id="open for neither and empty"),
        pytest.param(76, 45, (), EPERM, id="truncate by name"),
        pytest.param(77, 46, (), ALLOW, id="truncate by descriptor"),
        pytest.param(451, 451, (), ENOSYS, id="a newer call"),
        pytest.param(452, 452, (), ENOSYS, id="a newer way to change a mode"),
        pytest.param(9999, 9999, (), ENOSYS, id="a call of the future"),
    ],
)
def test_calls_are_told_apart_by_their_arguments(x86: int, arm: int, arguments: tuple[int, ...], answer: int) -> None:
    assert decision("x86_64", x86, *arguments) == answer
    assert decision("aarch64", arm, *arguments) == answer


def test_calls_of_another_architecture_kill() -> None:
    assert decision("x86_64", 11, architecture=0x40000003) == KILL
    assert decision("x86_64", 0x40000000 + 59) == KILL
    assert decision("aarch64", 11, architecture=0xC000003E) == KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_the_program_is_one_that_the_kernel_takes(machine: str) -> None:
    steps = [struct.unpack("=HBBI", step) for step in seccomp.program(machine, PID)]
    assert len(steps) <= 4096
    for place, (code, if_true, if_false, _) in enumerate(steps):
        if code in (0x15, 0x35, 0x45):
            assert place + 1 + max(if_true, if_false) < len(steps)
    assert steps[-1][0] == 0x06


def in_a_child(enter: object) -> str:
    """What a function returns in a forked process, as text."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = str(enter())  # type: ignore[operator]
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writer, answer.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return text


def rules(tmp_path: Path, tier: str) -> policy.Policy:
    scratch = tmp_path / "agent" / "job"
    scratch.mkdir(parents=True)
    return policy.Policy(
        readable=(str(tmp_path / "work"),),
        scratch=str(scratch),
        cpu_seconds=5,
        memory_bytes=1 << 30,
        file_bytes=1 << 20,
        open_files=64,
        keep=tuple(range(3, 64)),
        parent=os.getpid(),
        tier=tier,
        forbidden=str(scratch.parent),
    )


def test_this_machine_reaches_the_full_tier() -> None:
    assert policy.available().tier == policy.FULL
    assert set(policy.available().layers.values()) == {policy.ON}


def test_a_setting_turns_the_kernel_layers_off_and_says_so() -> None:
    applied = policy.available(turned_off=True)
    assert applied.tier == policy.LIMITS
    assert applied.layers["landlock"] == applied.layers["seccomp"] == policy.TURNED_OFF


@pytest.mark.parametrize(
    ("landlock_abi", "seccomp_there", "tier"),
    [(7, True, "full"), (0, True, "partial"), (3, False, "partial"), (0, False, "limits")],
)
def test_the_tier_is_named_after_the_layers_that_hold(
    monkeypatch: pytest.MonkeyPatch, landlock_abi: int, seccomp_there: bool, tier: str
) -> None:
    monkeypatch.setattr(landlock, "abi", lambda libc: landlock_abi)
    monkeypatch.setattr(seccomp, "supported", lambda libc: seccomp_there)
    applied = policy.available()
    assert applied.tier == tier
    for name, there in (("landlock", landlock_abi > 0), ("seccomp", seccomp_there)):
        assert (applied.layers[name] == policy.ON) is there


def test_the_witness_sees_all_layers_hold(tmp_path: Path) -> None:
    made = rules(tmp_path, policy.FULL)
    assert in_a_child(lambda: linux.enter(made)) == "None"


def test_temporary_files_may_lie_in_the_workspace_and_nothing_outside_of_the_jobs_own_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = dataclasses.replace(rules(tmp_path, policy.FULL), readable=(str(tmp_path),))
    assert in_a_child(lambda: linux.enter(made)) == "None"
    monkeypatch.setattr(landlock, "restrict", lambda *arguments: None)
    answer = in_a_child(lambda: linux.enter(made))
    assert answer == "SandboxUnavailable: the witness could still write a file outside"


@pytest.mark.parametrize(
    ("layer", "name"),
    [(landlock, "list a folder outside"), (seccomp, "open a socket")],
    ids=["landlock", "seccomp"],
)
def test_a_layer_that_does_not_hold_is_found_before_user_code_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, layer: object, name: str
) -> None:
    made = rules(tmp_path, policy.FULL)
    monkeypatch.setattr(layer, "restrict", lambda *arguments: None)
    answer = in_a_child(lambda: linux.enter(made))
    assert answer == f"SandboxUnavailable: the witness could still {name}"


def test_each_attempt_of_the_witness_succeeds_where_nothing_is_withheld(tmp_path: Path) -> None:
    made = rules(tmp_path, policy.FULL)
    assert len(witness.failures(made, files=True, calls=True)) == 9


def test_a_tier_that_is_lost_is_named_with_the_reason() -> None:
    full = policy.Applied(policy.FULL, {"landlock": policy.ON, "seccomp": policy.ON, "session": policy.ON})
    less = policy.weakened(full, "the witness could still open a socket")
    assert less.tier == policy.LIMITS
    assert less.layers["seccomp"] == "the witness could still open a socket"
    assert less.layers["session"] == policy.ON


@pytest.mark.parametrize(
    ("sandbox", "tier", "refused"),
    [
        ("required", policy.FULL, False),
        ("required", policy.PARTIAL, True),
        ("required", policy.LIMITS, True),
        ("bestEffort", policy.LIMITS, False),
        ("off", policy.LIMITS, False),
    ],
)
def test_a_required_sandbox_that_is_not_there_runs_nothing(sandbox: str, tier: str, refused: bool) -> None:
    applied = policy.Applied(tier, {"landlock": "the kernel does not have it", "seccomp": policy.ON})
    words = loop.too_weak(applied, sandbox)
    assert bool(words) is refused
    assert not refused or "landlock: the kernel does not have it" in words


def test_a_home_or_a_root_is_never_readable_as_a_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = rules(tmp_path, policy.FULL)
    monkeypatch.setattr(linux, "_home", lambda: "/data/people/ada")
    refused = ("/", "/etc", "/tmp", "/data", "/data/people", "/data/people/ada")
    wide = policy.Policy(**{**vars(made), "readable": (*refused, "/data/people/ada/work", str(tmp_path))})
    granted = {path for path, _ in linux._grants(wide)}
    assert {str(tmp_path), "/data/people/ada/work"} <= granted
    assert not granted & set(refused)


def test_landlock_handles_what_the_kernel_knows() -> None:
    assert landlock.abi(ctypes.CDLL(None, use_errno=True)) >= 1


@pytest.mark.parametrize("machine", MACHINES)
def test_the_filter_that_is_kept_becomes_that_of_each_process(machine: str) -> None:
    code, places = seccomp._assembled(machine)
    made = bytearray(code)
    for place in places:
        struct.pack_into("=I", made, place, PID)
    assert bytes(made) == b"".join(seccomp.program(machine, PID)) != code
