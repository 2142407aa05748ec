"""Lists, tuples, dicts and sets: what they may hold, and how they are indexed, unpacked and made."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.agent.script import edits, neutralisation
from ts_shape_server.agent.script.neutralisation import Neutralisation
from ts_shape_server.agent.script.problem import CompilerProblem, RefusalSearch
from ts_shape_server.agent.script.refusals.refusal import RefusalKind, Told, own_place, short
from ts_shape_server.agent.script.sources import ParsedFunction
from ts_shape_server.agent.torch_says.rows import Complaint


def key_type(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    """A dict with keys of a type that TorchScript has no dicts of: most often numbers of Tensors."""
    kind = complaint.name("type")
    keys: list[ast.expr] = []
    for node in ast.walk(problem.function.tree) if problem.function is not None else ():
        keys += [node.key] if isinstance(node, ast.DictComp) else []
        keys += [key for key in node.keys if key is not None] if isinstance(node, ast.Dict) else []
    numbers = [key for key in keys if isinstance(key, ast.Call) and edits.called_name(key) == "item"]
    if kind != "Scalar" or not numbers or problem.function is None:
        words = f"a dict cannot have keys of type `{kind}` in TorchScript: take ints, floats, texts or Tensors"
        return Told(words, facts={"type": kind})
    code = short(ast.unparse(numbers[0]))
    words = (
        f"`{code}` is an int or a float, as the Tensor holds, and a dict has keys of one type in TorchScript: write "
        f"`int({code})` or `float({code})`"
    )
    place = own_place(problem.function, numbers[0], search)
    return Told(words, place=place, facts={"type": kind, "code": code})


def with_typed_containers(
    problem: CompilerProblem, search: RefusalSearch, function: ParsedFunction
) -> Iterator[Neutralisation]:
    """``x = []`` is a List[Tensor] to the compiler, whatever goes in later."""
    assert problem.node is not None
    names = edits.loaded_names(problem.node)
    for node in ast.walk(function.tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, (ast.List, ast.Dict)):
            empty = not ast.unparse(node.value).strip("[]{}")
            for target in node.targets:
                if empty and isinstance(target, ast.Name) and target.id in names:
                    kind = neutralisation.type_read(search, function, target.id)
                    if kind.items and kind.known:
                        yield neutralisation.value(search, function, node.value, kind)


REFUSALS = (
    RefusalKind("dict-key-type", key_type, independent=True),
    RefusalKind(
        "dict-expansion", "TorchScript does not support `{{**…}}`: build the dict key by key", independent=True
    ),
    RefusalKind(
        "list-length-unknown",
        "`{code}` has no fixed length for TorchScript, so it cannot be unpacked or starred: take its items by index",
    ),
    RefusalKind(
        "container-item-type",
        "the list holds `{held}` to TorchScript (an empty list is a List[Tensor]) and gets `{got}`: annotate it",
        neutralised=with_typed_containers,
    ),
    RefusalKind("tuple-index-range", "`{code}`: the tuple has {length} items"),
    RefusalKind(
        "tuple-length-unknown",
        "`{code}` is `{type}` to TorchScript, whose length it does not know: it cannot be unpacked or looped over",
    ),
    RefusalKind("unpack-count", "`{code}` unpacks {wanted} values, and the compiler sees {found}"),
    RefusalKind("not-subscriptable", "`{code}`: the compiler sees `{type}`, which cannot be indexed"),
    RefusalKind("tensor-index-type", "`{code}`: a Tensor cannot be indexed with `{type}` in TorchScript"),
    RefusalKind(
        "multidimensional-index", "`{code}`: only Tensors take several indices in TorchScript", independent=True
    ),
    RefusalKind(
        "assignment-target",
        "TorchScript cannot assign to `{code}`: unpack into a plain tuple of names",
        independent=True,
    ),
    RefusalKind(
        "comprehension-condition", "TorchScript has no `if` in a comprehension: write a loop", independent=True
    ),
    RefusalKind(
        "comprehension-nested", "TorchScript takes one `for` in a comprehension: write a loop", independent=True
    ),
    RefusalKind("set-comprehension", "TorchScript has no sets: use a list or a dict", independent=True),
    RefusalKind("set", "TorchScript has no sets: use a list or a dict", independent=True),
)
