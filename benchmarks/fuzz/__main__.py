"""``python -m benchmarks.fuzz TARGET``: feeds one border for a long time and prints what it did; 1 at a finding.

With `atheris` installed the fuzzer is guided by coverage; without it bytes are mutated blindly, and it says so. The
targets are those of the short tests.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import pickle
import random
import resource
import sys
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import recording

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))


def seeds() -> list[bytes]:
    """Where mutation starts: documents of the tests, words of what crosses a border, messages."""
    import fuzzing

    from ts_shape_server.contract import wire

    texts = [text for make in fuzzing.HOSTILE.values() if len(text := make()) < 5000]
    found = [text.encode("utf-8", "surrogatepass") for text in texts]
    found.append(wire.encode({"type": "done", "id": 1, "outcome": "finished", "detail": "", "elapsed_ms": 1}))
    found.append(b'{"class": "N", "report": {"path": "p", "class": "N", "line": 1, "status": "ok", "inputs": []}}')
    found.append(b'[tool.ts-shape]\ntimeoutMs = 5\nhover.waitMs = 7\nenv = {A = "1"}\n')
    for inner in ("constants.pkl", "data.pkl", "extra/ts_shape.json", "archive_format"):
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr(f"net/{inner}", pickle.dumps({"weights": [1.0]}))
            archive.writestr("net/code/__torch__.py", "class Net(Module): ...")
        found.append(target.getvalue())
    return [*found, *(word.encode("utf-8", "surrogatepass") for word in (*fuzzing.WORDS, *fuzzing.TOKENS))]


def blindly(target: Callable[[bytes], None], seconds: float, number: int) -> int:
    """So many runs of mutated seeds. Raises what the target raises."""
    chance, pool, runs = random.Random(number), seeds(), 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        parts = [chance.choice(pool) for _ in range(chance.randint(1, 6))]
        data = bytearray(chance.choice((b"", b" ", b"\n")).join(parts))
        for _ in range(chance.randint(0, 8)):
            if data:
                place = chance.randrange(len(data))
                data[place : place + chance.randint(0, 4)] = chance.randbytes(chance.randint(0, 4))
        try:
            target(bytes(data))
        except BaseException:
            Path("finding").write_bytes(data)
            raise
        runs += 1
    return runs


def guided(name: str, seconds: int, corpus: Path) -> None:
    """Hands the process to atheris, which ends it, with 0 if there was no finding."""
    import atheris

    with atheris.instrument_imports(include=["ts_shape_server", "fuzzing"]):
        import fuzzing
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed{number}").write_bytes(seed)
    arguments = [sys.argv[0], str(corpus), f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=2000"]
    atheris.Setup(arguments, fuzzing.TARGETS[name])
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("target", choices=("messages", "claims", "settings", "pragmas", "documents", "archives"))
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=Path, default=Path("fuzz-corpus"))
    recording.add_arguments(parser)
    options = parser.parse_args()
    if importlib.util.find_spec("atheris") is not None:
        guided(options.target, options.seconds, options.corpus / options.target)
        return 0
    import fuzzing

    print("atheris is not installed: not guided by coverage")
    began = time.process_time()
    try:
        runs = blindly(fuzzing.TARGETS[options.target], options.seconds, options.seed)
    except BaseException:
        traceback.print_exc()
        print(f"the bytes are in {os.path.abspath('finding')}")  # noqa: PTH100
        return 1
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    figures = [recording.Figure("runs without a finding", runs), recording.Figure("memory at most", most, unit="MiB")]
    recording.record(options, f"fuzz-{options.target}", figures)
    print(f"{options.target}: {runs} runs, {time.process_time() - began:.0f} s of processor time, {most} MiB at most")
    return 0


if __name__ == "__main__":
    sys.exit(main())
