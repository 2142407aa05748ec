"""Attacks on kernels whose Landlock is older: what a later version withholds, the filter of system calls has to.

The agent is told that the kernel has an older Landlock, so that only the rights of that version are handled.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attempts
import pytest
import weakened
from attacks import ATTACKS, Attack
from probing_helpers import Prober

from ts_shape_server.agent.sandbox import policy

pytestmark = pytest.mark.skipif(policy.available().tier != policy.FULL, reason="the kernel lacks a layer")

LIMITS: dict[str, Any] = {"wall": 20.0, "memory": 512 << 20}
VERSIONS = {1: "Linux 5.13", 2: "Linux 5.19", 4: "Linux 6.7"}
"""Versions of Landlock and the kernels that they came with: without moves between folders and truncation, without
truncation, and without devices, signals and abstract sockets. The others lie between.
"""
HELD = tuple(attack for attack in ATTACKS if "landlock" in attack.layers.split() and not attack.alone)


@pytest.fixture(scope="module", params=VERSIONS, ids=VERSIONS.get)
def older(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prober]:
    patches = f"landlock.abi = lambda libc: {request.param}"
    made = weakened.prober(tmp_path_factory.mktemp("interpreter"), patches, **LIMITS)
    made.run(made.service.start())
    assert made.service.problem is None, made.service.problem
    yield made
    made.close()


@pytest.mark.parametrize("attack", HELD, ids=lambda attack: attack.name)
def test_an_attack_is_refused_by_an_older_kernel_too(older: Prober, tmp_path: Path, attack: Attack) -> None:
    attempts.lay_out(tmp_path)
    with attempts.nothing_changed(tmp_path):
        outcome = attempts.attempt(older, tmp_path, attack.body)
    assert outcome.startswith(attack.on), outcome
