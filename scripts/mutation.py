"""``python -m scripts.mutation``: takes one rule away at a time, and shows which of them no fast test notices.

A rule is a move, a rewrite, what a refusal changes in a copy, or a row of `torch_says`. `--only TEXT` takes those whose
name has the text, `--every N` each Nth of them. Ends with the number of rules that no test noticed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from scripts.without import rules

TESTS = {
    "move": ("tests/agent/infer/inputs/test_moves.py",),
    "argument move": ("tests/agent/infer/constructor/test_argument_moves.py",),
    "rewrite": ("tests/unit/analysis/test_rewrite_examples.py", "tests/agent/script"),
    "neutraliser": ("tests/agent/script",),
    "row": ("tests/unit/test_torch_says.py", "tests/agent/test_messages_as_torch_raises_them.py"),
    "compiler row": ("tests/unit/test_torch_says_compiler.py",),
}
"""The tests that may notice, by the beginning of a rule's name, the fastest first."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.mutation", description=__doc__)
    parser.add_argument("--only", default="", help="rules whose name has this text")
    parser.add_argument("--every", type=int, default=1, help="each Nth of them")
    options = parser.parse_args()
    names = [name for name in rules() if options.only in name][:: options.every]
    unnoticed = [name for name in names if not _noticed(name)]
    print(f"{len(names)} rules, {len(unnoticed)} of which no test notices")
    return len(unnoticed)


def _noticed(name: str) -> bool:
    kind = next(kind for kind in TESTS if name.startswith(f"{kind} "))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "scripts.without"]
    for tests in TESTS[kind]:
        done = subprocess.run(
            [*command, tests], env={**os.environ, "TS_SHAPE_WITHOUT": name}, capture_output=True, text=True
        )
        if done.returncode == 1:
            failed = next((line for line in done.stdout.splitlines() if line.startswith("FAILED ")), "FAILED")
            print(f"{name}: {failed.partition(' ')[2].partition(' - ')[0]}", flush=True)
            return True
        if done.returncode != 0:
            print(done.stdout[-2000:], done.stderr[-2000:], file=sys.stderr)
            raise SystemExit(f"the tests could not be run without {name}")
    print(f"{name}: NOT NOTICED", flush=True)
    return False


if __name__ == "__main__":
    sys.exit(main())
