"""Results and conditional values of several types: the union is written down, and what is a device is made one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from ts_shape_server.analysis.rewrites.situation import SIGNATURE, Place, Rewrite, Situation, holdable
from ts_shape_server.contract.report import Annotation

_RETURNS = ("return-types", "return-annotation")
_TYPE = re.compile(r"[\w\[\], ]+")


def union(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``return x, aux`` in training and ``return x`` else: the result is annotated with both types."""
    places = [situation.place(failure) for failure in situation.state.script.failures]
    found = [item.says(*_RETURNS) for item in places if item is not None and item.function is place.function]
    told = [_plain(item.fact(name)) for item in found if item is not None for name in ("first", "second")]
    seen = [
        situation.type_of(node.value)
        for node in ast.walk(place.function)
        if isinstance(node, ast.Return) and node.value is not None and situation.function_of(node) is place.function
    ]
    wanted = union_of([kind for kind in [*told, *seen] if kind])
    if wanted is None:
        return
    owner = situation.qualified(place.owner) if place.owner is not None else ""
    edits = situation.annotated([Annotation(owner, place.function.name, "return", wanted, True)])
    if edits:
        yield Rewrite(
            "result-annotation", f"Annotate the result of `{place.function.name}` as {wanted}", edits, SIGNATURE
        )


def chosen(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``return x if self.training else (y, x)`` as two returns of a result that is annotated with both types."""
    told, statement = place.says("conditional-types"), place.statement
    value = statement.value if isinstance(statement, ast.Return) else None
    if told is None or not isinstance(value, ast.IfExp) or not situation.alone(statement):
        return
    text = situation.text(statement)
    if "\n" in text:
        return
    sides = ((value.body, told.fact("first")), (value.orelse, told.fact("second")))
    wanted = union_of([situation.type_of(node) or _plain(kind) for node, kind in sides])
    if wanted is None:
        return
    step = situation.indent(place.function.body[0])[len(situation.indent(place.function)) :] or "    "
    lines = [
        f"if {situation.text(value.test)}:",
        f"{step}return {situation.text(value.body)}",
        f"return {situation.text(value.orelse)}",
    ]
    owner = situation.qualified(place.owner) if place.owner is not None else ""
    typed = situation.annotated([Annotation(owner, place.function.name, "return", wanted, True)])
    if typed:
        edit = situation.replace(statement, (situation.source.newline + situation.indent(statement)).join(lines))
        yield Rewrite(
            "union-result",
            f"Return the one or the other, and annotate the result as {wanted}",
            (edit, *typed),
            SIGNATURE,
        )


def union_of(found: Iterable[str]) -> str | None:
    """One type for all of these; None where TorchScript has none."""
    kinds = dict.fromkeys(part for kind in found for part in _members(kind))
    if any(not holdable(kind) or not _TYPE.fullmatch(kind) for kind in kinds):
        return None
    rest = [kind for kind in kinds if kind != "None"]
    if not rest:
        return None
    wanted = rest[0] if len(rest) == 1 else f"Union[{', '.join(rest)}]"
    return f"Optional[{wanted}]" if "None" in kinds else wanted


def _plain(text: str) -> str:
    """A type at the end of a sentence of torch's."""
    return text.rstrip(".:").strip()


def _members(kind: str) -> list[str]:
    """The types of a union, the type itself if it is none."""
    for word in ("Union[", "Optional["):
        if kind.startswith(word):
            parts, depth = [""], 0
            for sign in kind[len(word) : -1]:
                depth += (sign == "[") - (sign == "]")
                if sign == "," and depth == 0:
                    parts.append("")
                else:
                    parts[-1] += sign
            inner = [item for part in parts for item in _members(part.strip())]
            return [*inner, *(["None"] if word == "Optional[" else [])]
    return [kind]


def devices(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``x.device if x.is_cuda else "cpu"`` with ``torch.device("cpu")``."""
    edits = []
    for node in ast.walk(place.statement):
        for value in (node.body, node.orelse) if isinstance(node, ast.IfExp) else ():
            other = node.orelse if isinstance(node, ast.IfExp) and value is node.body else getattr(node, "body", value)
            literal = isinstance(value, ast.Constant) and isinstance(value.value, str)
            if literal and isinstance(other, ast.Attribute) and other.attr == "device":
                edits.append(situation.replace(value, f"{situation.torch_name()}.device({situation.text(value)})"))
    if edits:
        yield Rewrite("device-value", "Write the name of a device as a device", (*edits, *situation.torch_import()))
