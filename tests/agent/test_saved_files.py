"""What is told of saved files: modules are solved from the archive alone, everything else is named for what it is.

Each file is made by torch here, and inspected by a real agent in its sandbox.
"""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import tarfile
import zipfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from probing_helpers import Prober
from torch import Tensor, nn

from ts_shape_server.probing.requests import Inspection

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


class Conv(nn.Module):
    """Takes 28 × 28, or 29: what a flattened size says."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(4 * 14 * 14, 10)

    def forward(self, image: Tensor) -> Tensor:
        return self.fc(self.pool(torch.relu(self.conv(image))).view(-1, 4 * 14 * 14))


class Words(nn.Module):
    """A list of sentences of any length, and a number with a default."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 8)
        self.fc = nn.Linear(8, 3)

    def forward(self, sentences: list[Tensor], scale: float = 2.0) -> Tensor:
        return torch.stack([self.fc(self.embedding(item).mean(0)) * scale for item in sentences])


class Pair(nn.Module):
    """Two inputs that share their batch."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(6, 5), nn.Linear(7, 5)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.left(left) + self.right(right)


@pytest.fixture
def inspect(prober: Prober, survivors: Callable[[], list[int]]) -> Callable[[Path], Inspection]:
    """`inspect(path)`; no process is left."""

    def run(path: Path) -> Inspection:
        found: Inspection = prober.run(prober.service.inspect(path))
        assert survivors() == []
        return found

    return run


def scripted(module: nn.Module, path: Path, **extra: str) -> None:
    torch.jit.script(module.eval()).save(str(path), _extra_files=extra)


def dims(found: Inspection) -> dict[str, Any]:
    assert found.report is not None
    return {item.name: item.value.dims for item in found.report.inputs}


def test_a_scripted_module_is_solved_from_the_archive_alone(
    inspect: Callable[[Path], Inspection], tmp_path: Path
) -> None:
    scripted(Conv(), tmp_path / "conv.pt")
    found = inspect(tmp_path / "conv.pt")
    assert (found.kind, found.source, found.known) == ("script", "solved", True)
    assert found.report is not None
    assert (found.report.name, found.report.path) == ("Conv", str(tmp_path / "conv.pt"))
    assert dims(found) == {"image": ("B", 3, "H", "W")}
    assert {name: (item.minimum, item.maximum) for name, item in found.report.symbols if name != "B"} == {
        "H": (28, 29),
        "W": (28, 29),
    }
    assert found.report.outputs[0].dims == ("B", 10)


def test_a_traced_module_is_solved_beyond_the_sizes_that_it_was_traced_with(
    inspect: Callable[[Path], Inspection], tmp_path: Path
) -> None:
    torch.jit.trace(Pair().eval(), (torch.randn(1, 6), torch.randn(1, 7))).save(str(tmp_path / "pair.pt"))
    found = inspect(tmp_path / "pair.pt")
    assert (found.kind, found.source) == ("trace", "solved")
    assert dims(found) == {"left": ("B", 6), "right": ("B", 7)}
    assert found.facts == ("traced with left (1, 6), right (1, 7): no limit",)


def test_a_scripted_module_is_asked_for_the_rank_that_its_first_operations_document(
    inspect: Callable[[Path], Inspection], tmp_path: Path
) -> None:
    scripted(Pair(), tmp_path / "pair.pt")
    assert dims(inspect(tmp_path / "pair.pt")) == {"left": ("B", 6), "right": ("B", 7)}


def test_the_types_of_a_scripted_module_are_those_of_its_schema(
    inspect: Callable[[Path], Inspection], tmp_path: Path
) -> None:
    scripted(Words(), tmp_path / "words.pt")
    found = inspect(tmp_path / "words.pt")
    assert found.report is not None
    types = {item.name: item.value.type for item in found.report.inputs}
    assert types["sentences"] == "List[Tensor]"
    assert found.report.inputs[0].value.items[0].dtype == "int64"


def test_a_program_is_solved_within_what_it_was_exported_for(
    inspect: Callable[[Path], Inspection], tmp_path: Path
) -> None:
    program = torch.export.export(Pair(), (torch.randn(4, 6), torch.randn(4, 7)))
    torch.export.save(program, tmp_path / "pair.pt2")
    found = inspect(tmp_path / "pair.pt2")
    assert (found.kind, found.source) == ("program", "solved")
    assert dims(found) == {"left": (4, 6), "right": (4, 7)}


def test_what_a_program_leaves_free_is_free_and_its_rank_is_kept(
    inspect: Callable[[Path], Inspection], tmp_path: Path
) -> None:
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(nn.Linear(6, 5), (torch.randn(4, 6),), dynamic_shapes={"input": {0: batch}})
    torch.export.save(program, tmp_path / "net.pt2")
    found = inspect(tmp_path / "net.pt2")
    assert dims(found) == {"input": ("B", 6)}
    assert found.report is not None
    assert dict(found.report.symbols)["B"].maximum == 64


def test_what_a_program_takes_by_name_is_passed_by_name(inspect: Callable[[Path], Inspection], tmp_path: Path) -> None:
    class Scaled(nn.Module):
        def forward(self, x: Tensor, by: Tensor, twice: bool = False) -> Tensor:
            return x * by * (2 if twice else 1)

    by_name = {"by": torch.randn(3, 1), "twice": True}
    torch.export.save(torch.export.export(Scaled(), (torch.randn(3, 4),), by_name), tmp_path / "named.pt2")
    found = inspect(tmp_path / "named.pt2")
    assert found.source == "solved"
    assert dims(found) == {"x": (3, 4), "by": (3, 1)}
    assert "`twice` is fixed at True: it was exported so" in found.facts


def test_a_parameter_of_which_a_program_keeps_the_value_is_told_as_fixed(
    inspect: Callable[[Path], Inspection], tmp_path: Path
) -> None:
    class Scaled(nn.Module):
        def forward(self, x: Tensor, by: Tensor | None = None) -> Tensor:
            return x if by is None else x * by

    torch.export.save(torch.export.export(Scaled(), (torch.randn(3, 4), None)), tmp_path / "scaled.pt2")
    found = inspect(tmp_path / "scaled.pt2")
    assert dims(found) == {"x": (3, 4)}
    assert "`by` is fixed at None: it was exported so" in found.facts


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_the_weights_of_quantised_layers_and_further_methods_are_told(
    inspect: Callable[[Path], Inspection], tmp_path: Path
) -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x)

        @torch.jit.export
        def reset(self) -> None:
            pass

    quantised: Any = torch.ao.quantization
    scripted(quantised.quantize_dynamic(Counting().eval(), {nn.Linear}, dtype=torch.qint8), tmp_path / "small.pt")
    found = inspect(tmp_path / "small.pt")
    assert found.facts == ("further methods: `reset`", "35 weights are packed by quantised layers")
    assert found.report is not None
    assert (found.report.parameters, found.report.parameter_bytes) == (35, 30 + 5 * 4)


def test_the_layers_of_a_saved_module_are_told_as_those_of_its_class(
    inspect: Callable[[Path], Inspection], tmp_path: Path
) -> None:
    scripted(Pair(), tmp_path / "pair.pt")
    report = inspect(tmp_path / "pair.pt").report
    assert report is not None
    assert [(item.name, item.type, item.inputs, item.outputs) for item in report.layers] == [
        ("left", "Linear", (("B", 6),), (("B", 5),)),
        ("right", "Linear", (("B", 7),), (("B", 5),)),
    ]


def test_the_spec_that_an_export_embedded_comes_before_solving(
    inspect: Callable[[Path], Inspection], tmp_path: Path
) -> None:
    spec = {
        "path": "conv.py",
        "class": "Named",
        "line": 3,
        "status": "ok",
        "inputs": [{"name": "x", "type": "Tensor", "dtype": "float32", "dims": ["B", 9]}],
        "symbols": {"B": {"min": 1, "max": None, "multiple_of": 1}},
        "outputs": [],
    }
    scripted(Conv(), tmp_path / "conv.pt", **{"ts_shape.json": json.dumps(spec), "labels.txt": "cat dog"})
    found = inspect(tmp_path / "conv.pt")
    assert (found.source, dims(found)) == ("embedded", {"x": ("B", 9)})
    assert found.facts == ("extra files: labels.txt",)


def test_the_spec_in_a_program_of_an_older_torch_is_found(
    inspect: Callable[[Path], Inspection], tmp_path: Path
) -> None:
    spec = {"path": "net.py", "class": "Old", "line": 3, "status": "ok", "inputs": [], "symbols": {}, "outputs": []}
    entries = {"serialized_exported_program.json": b"{}", "extra_files/ts_shape.json": json.dumps(spec).encode()}
    (tmp_path / "old.pt2").write_bytes(_zip(**entries))
    found = inspect(tmp_path / "old.pt2")
    assert (found.kind, found.source, found.facts) == ("program", "embedded", ())


@pytest.mark.parametrize("spec", ["", "{", "[1]", "{}", '{"status": "ok", "class": 7}', "[" * 100_000])
def test_an_embedded_spec_that_is_none_does_not_stand_in_the_way(
    inspect: Callable[[Path], Inspection], tmp_path: Path, spec: str
) -> None:
    scripted(Conv(), tmp_path / "conv.pt", **{"ts_shape.json": spec})
    found = inspect(tmp_path / "conv.pt")
    assert (found.known, found.source) == (True, "solved")


class Encoder(nn.Module):
    """Has a method of its own, and no `forward`."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    @torch.jit.export
    def encode(self, x: Tensor) -> Tensor:
        return self.fc(x)


def test_a_module_without_forward_is_told_by_its_methods(inspect: Callable[[Path], Inspection], tmp_path: Path) -> None:
    scripted(Encoder(), tmp_path / "encoder.pt")
    found = inspect(tmp_path / "encoder.pt")
    assert (found.kind, found.report) == ("script", None)
    assert "It has no `forward`" in found.message
    assert "`encode`" in found.message


def test_a_frozen_module_is_told_that_its_weights_are_constants(
    inspect: Callable[[Path], Inspection], tmp_path: Path
) -> None:
    torch.jit.freeze(torch.jit.script(Pair().eval())).save(str(tmp_path / "frozen.pt"))
    found = inspect(tmp_path / "frozen.pt")
    assert dims(found) == {"left": ("B", 6), "right": ("B", 7)}
    assert "constants in its code" in found.facts[0]


def test_a_saved_function_is_solved_as_a_module_is(inspect: Callable[[Path], Inspection], tmp_path: Path) -> None:
    source = torch.jit.CompilationUnit("def joined(a, b):\n    return torch.bmm(a, b)\n")
    source.joined.save(str(tmp_path / "joined.pt"))
    found = inspect(tmp_path / "joined.pt")
    assert found.report is not None
    assert found.report.name == "Function"
    assert len(dims(found)["a"] or ()) == 3


def test_a_module_in_half_precision_takes_inputs_in_half_precision(
    inspect: Callable[[Path], Inspection], tmp_path: Path
) -> None:
    scripted(Pair().half(), tmp_path / "half.pt")
    found = inspect(tmp_path / "half.pt")
    assert found.report is not None
    assert [item.value.dtype for item in found.report.inputs] == ["float16", "float16"]


class Marks:
    """Leaves a mark where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (str(self.path), "w")


def _zip(**entries: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return target.getvalue()


def _saved(value: object, **options: Any) -> bytes:
    target = io.BytesIO()
    torch.save(value, target, **options)
    return target.getvalue()


def _numpy() -> bytes:
    target = io.BytesIO()
    numpy.save(target, numpy.zeros(3))
    return target.getvalue()


def _tar() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("net.pt"))
    return target.getvalue()


def _safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(8)


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (lambda: _saved(Conv().state_dict()), "state-dict", "`state_dict`"),
        (lambda: _saved(Conv().state_dict(), _use_new_zipfile_serialization=False), "state-dict", "`state_dict`"),
        (lambda: _saved({"epoch": 3, "model": Conv().state_dict()}), "state-dict", "under `model`"),
        (lambda: _saved({"epoch": 3}), "data", "no module and no weights"),
        (lambda: _saved(Conv()), "module", "Conv`"),
        (lambda: _saved({"model": Conv().state_dict(), "args": Namespace(rate=1)}), "module", "`argparse.Namespace`"),
        (lambda: _saved(Conv().state_dict(), pickle_protocol=4), "module", "saved with pickle protocol 4"),
        (lambda: pickle.dumps({"a": 1}), "module", "`torch.save` did not write"),
        (lambda: _saved(torch.optim.SGD(Conv().parameters()).state_dict()), "data", "state of an optimizer"),
        (lambda: _saved([Conv().state_dict()]), "data", "holds 4 tensors, and no module"),
        (_safetensors, "safetensors", "weights and no module"),
        (_numpy, "other", "NumPy"),
        (lambda: b"\x89HDF\r\n\x1a\n" + bytes(100), "other", "HDF5"),
        (lambda: b"version https://git-lfs.github.com/spec/v1\n", "other", "git lfs pull"),
        (lambda: b"", "other", "empty"),
        (lambda: bytes(4) + b"TFL3" + bytes(90), "other", "TensorFlow Lite"),
        (lambda: _zip(**{"MAR-INF/MANIFEST.json": b"{}"}), "other", "TorchServe"),
        (lambda: _zip(**{"config.json": b"{}", "metadata.json": b"{}"}), "other", "Keras"),
        (lambda: b"no module", "other", "no file that torch writes"),
        (lambda: b"<!DOCTYPE html><html>Not found</html>", "other", "a web page"),
        (_tar, "other", "tar archive: unpack it first"),
        (lambda: _zip(**{"net.pt": b"x"}), "other", "holds net.pt: unpack it, and name that"),
        (lambda: _saved(torch.zeros(3, 4)), "data", "saved Tensor"),
        (lambda: _saved(Conv().state_dict())[:900], "other", "cut off or damaged"),
        (lambda: _zip(**{"a/b.txt": b"x"}), "other", "zip file that torch did not write"),
        (lambda: _zip(**{"a/b.txt": b"x"}) + _zip(a=b"")[-22:-4] + bytes(4), "other", "cut off or damaged"),
        (lambda: _zip(**{"a/data.pkl": bytes(400 << 20)}), "other", "far more than its size"),
        (lambda: _zip(**{"a/code/__torch__.py": b"x", "a/constants.pkl": b"x"}), "script", "does not load"),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_what_holds_no_module_is_named_in_a_sentence(
    inspect: Callable[[Path], Inspection], tmp_path: Path, data: Callable[[], bytes], kind: str, words: str
) -> None:
    path = tmp_path / "file.pt"
    path.write_bytes(data())
    found = inspect(path)
    assert (found.kind, found.report) == (kind, None)
    assert words in found.message
    assert "\n" not in found.message


def test_a_checkpoint_is_told_with_what_is_beside_its_weights(
    inspect: Callable[[Path], Inspection], tmp_path: Path
) -> None:
    told = {"epoch": 3, "state_dict": Pair().state_dict(), "hyper_parameters": {"width": 5, "name": "a"}}
    (tmp_path / "last.ckpt").write_bytes(_saved(told))
    found = inspect(tmp_path / "last.ckpt")
    assert found.kind == "state-dict"
    assert found.facts[2:] == ("beside them: `epoch`, `hyper_parameters`", "it was made with width=5, name='a'")


def test_a_package_whose_operations_an_archive_calls_is_named_where_it_is_not_there(
    inspect: Callable[[Path], Inspection], tmp_path: Path
) -> None:
    code = b"def forward(self, x):\n  return ops.torch_cluster.fps(x)\n"
    (tmp_path / "net.pt").write_bytes(_zip(**{"a/code/__torch__.py": code, "a/constants.pkl": b"x"}))
    found = inspect(tmp_path / "net.pt")
    assert "operations of `torch_cluster`, which this interpreter has not" in found.message


def test_nothing_is_unpickled_that_could_run_code(inspect: Callable[[Path], Inspection], tmp_path: Path) -> None:
    path, mark = tmp_path / "evil.pt", tmp_path / "mark"
    path.write_bytes(_saved({"weights": Marks(mark)}))
    found = inspect(path)
    assert found.kind == "module"
    assert not mark.exists()


@pytest.mark.parametrize(("name", "words"), [("", "is a folder"), ("none.pt", "There is no file")])
def test_a_path_that_leads_to_no_file_is_told_so(
    inspect: Callable[[Path], Inspection], tmp_path: Path, name: str, words: str
) -> None:
    found = inspect(tmp_path / name)
    assert found.kind == "unread"
    assert words in found.message


def _mutated(data: bytes, number: int) -> bytes:
    """The archive with some of its bytes changed, cut off, or doubled; the same ones each time."""
    chance = random.Random(number)
    changed = bytearray(data)
    for _ in range(chance.choice((1, 4, 64))):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    if number % 3 == 1:
        del changed[chance.randrange(len(changed)) :]
    if number % 3 == 2:
        start = chance.randrange(len(changed))
        changed[start:start] = changed[start : start + chance.randrange(1, 2000)]
    return bytes(changed)


@pytest.mark.parametrize("number", range(15))
def test_a_damaged_archive_is_told_in_a_sentence_and_costs_nothing_but_its_child(
    prober: Prober, inspect: Callable[[Path], Inspection], tmp_path: Path, number: int
) -> None:
    scripted(Pair(), tmp_path / "pair.pt")
    path = tmp_path / "damaged.pt"
    path.write_bytes(_mutated((tmp_path / "pair.pt").read_bytes(), number))
    agent = prober.agent_pid
    found = inspect(path)
    assert found.message
    assert "\n" not in found.message
    assert prober.agent_pid == agent
