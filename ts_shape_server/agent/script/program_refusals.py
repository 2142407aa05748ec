"""Why `torch.export` refuses a module: each place in the author's source, in words, all of them at once where torch can
say them.

An error of `torch.export` went through the author's code, so its traceback has the place. Torch names one refusal and
stops; its draft export goes on with the values of the example and lists what it met. What a refusal is, is read from
the expression that stands there: a test, a check, a number that Python takes out of a Tensor. Knows nothing of
TorchScript.
"""

from __future__ import annotations

import ast
import contextlib
import linecache
import sys
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ts_shape_server.agent import devices
from ts_shape_server.agent.script import locate
from ts_shape_server.agent.script.finding import finding, first_line
from ts_shape_server.agent.script.locate import MarkedPlace
from ts_shape_server.agent.script.session import ScriptSession
from ts_shape_server.agent.torch_says import exporter
from ts_shape_server.contract.places import Location
from ts_shape_server.contract.report import Failure

SENTENCES = {
    "value-decides-branch": (
        "`{code}` hangs on the values of a Tensor, and `torch.export` does not follow both branches: choose with "
        "`torch.where` or `torch.cond`"
    ),
    "value-decides-loop": (
        "how often this loop turns hangs on the values of a Tensor (`{code}`): `torch.export` needs a number that "
        "sizes give, or `torch.while_loop`"
    ),
    "value-asserted": (
        "`assert {code}` hangs on the values of a Tensor: leave the check to who calls the module, or write "
        "`torch._assert_async`"
    ),
    "value-as-number": (
        "`{code}` takes a number out of a Tensor for Python, which `torch.export` leaves open: keep it a Tensor, or "
        "take `.item()` alone and say with `torch._check` what it may be"
    ),
    "value-decides-size": "`{code}` hangs on a size that the values of a Tensor decide: `torch.export` leaves it open",
    "leaves-torch": "`{code}` leaves torch, and `torch.export` cannot follow: compute it with torch",
    "program-refused": "{said}",
}
"""What is told of each kind. `code` is the expression, `said` torch's own first line."""
MOST = 20
"""Refusals that are told."""
_NUMBERS = ("int", "float", "bool", "complex")
_READS = ("item", "tolist", "__int__", "__float__")


@dataclass(frozen=True)
class _Met:
    """One refusal: the line of the author's source, and torch's text."""

    path: str
    line: int
    text: str


def refusals(session: ScriptSession, error: Exception, dims: Any) -> tuple[Failure, ...]:
    """The refusals of a module that `torch.export` failed over with `error`; nothing if no place of it is known."""
    found: dict[tuple[str, Location], Failure] = {}
    plain = _plain_attributes(session)
    for met in [*_of_traceback(session, error), *_of_draft(session, dims)][:MOST]:
        failure = _told(met, plain)
        if failure.location is not None:
            found.setdefault((failure.kind, failure.location), failure)
    return tuple(sorted(found.values(), key=lambda item: item.location.range.line if item.location is not None else 0))


def _of_traceback(session: ScriptSession, error: Exception) -> Iterator[_Met]:
    """The innermost line of the author's that an error went through."""
    frames = [item for item in traceback.extract_tb(error.__traceback__) if session.users(item.filename)]
    if frames and frames[-1].lineno is not None:
        yield _Met(frames[-1].filename, frames[-1].lineno, f"{type(error).__name__}: {error}")


def _of_draft(session: ScriptSession, dims: Any) -> Iterator[_Met]:
    """What torch's draft export lists (2.7 and newer), which goes on where `torch.export` stops."""
    # Code that asks for an accelerator fails without the mode that has it run on the CPU.
    report = _drafted(session, dims, devices.suspended()) or _drafted(session, dims, contextlib.nullcontext())
    with contextlib.suppress(Exception):
        names = {**_interned(), **getattr(report, "str_to_filename", {})}
        for failure in getattr(report, "failures", ()):
            if getattr(failure.failure_type, "name", "") != "DATA_DEPENDENT_ERROR":
                continue
            stack = [(names.get(item.get("filename"), ""), item) for item in failure.data.get("user_stack", ())]
            own = [(path, int(item["line"])) for path, item in stack if session.users(path)]
            if own:
                said = f"Could not guard on data-dependent expression {failure.data.get('expr', '')}"
                yield _Met(*own[-1], said)


def _drafted(session: ScriptSession, dims: Any, around: contextlib.AbstractContextManager[None]) -> Any:
    """The report of a draft export; None where there is none."""
    draft: Any = getattr(torch.export, "draft_export", None)
    if draft is None:
        return None
    arguments, keywords = session.run.arguments()
    with warnings.catch_warnings(), torch.no_grad(), contextlib.suppress(Exception), around:
        warnings.simplefilter("ignore")
        made = draft(session.fresh(), arguments, keywords or None, dynamic_shapes=dims)
        return getattr(made, "_report", None)
    return None


def _interned() -> dict[int, str]:
    """The files that torch's log has numbered before: it says which number is which only once in a process."""
    structured = sys.modules.get("torch._logging.structured")
    table: dict[str, int] = getattr(structured, "INTERN_TABLE", {})
    return {number: name for name, number in table.items()}


def _plain_attributes(session: ScriptSession) -> frozenset[str]:
    """The attributes that are numbers and texts of Python's in all modules that have them."""
    plain: set[str] = set()
    others: set[str] = set()
    for module in session.pristine.modules():
        for name, value in {**vars(module), **module._parameters, **module._buffers}.items():
            (plain if isinstance(value, (bool, int, float, str)) else others).add(name)
    return frozenset(plain - others)


def _told(met: _Met, plain: frozenset[str]) -> Failure:
    kind, node = exporter.refusal(met.text), None
    if kind == "value-decides":
        kind, node = _decided(met, plain)
    elif kind == "leaves-torch":
        node = _call_of(met, "numpy")
    place = _place(met, node)
    code = ast.unparse(node) if node is not None else linecache.getline(met.path, met.line).strip()
    said = first_line(RuntimeError(met.text))[:300]
    message = SENTENCES[kind].format(code=code, said=said)
    return finding("export-error", kind, message, locate.location(place), met.text, facts={"code": code})


def _decided(met: _Met, plain: frozenset[str]) -> tuple[str, ast.expr | None]:
    """What a value decides at a line: a branch, a loop, a check, a number of Python's; else a size. `plain` are the
    attributes that are numbers already.
    """
    nodes = list(_nodes_at(met))
    for node in nodes:
        if isinstance(node, ast.Assert) and _covers(node.test, met.line):
            return "value-asserted", node.test
        if isinstance(node, ast.While) and _covers(node.test, met.line):
            return "value-decides-loop", node.test
    tests = [node for node in nodes if isinstance(node, (ast.If, ast.IfExp)) and _covers(node.test, met.line)]
    tested = {inner for node in tests for inner in ast.walk(node.test)}
    for node in nodes:
        # In a test beside other things, a name may be a number as well.
        if isinstance(node, ast.Call) and _takes_number(node, plain, sure=node in tested):
            return "value-as-number", node
    for node in tests:
        sized = any(isinstance(item, ast.Attribute) and item.attr in ("shape", "size") for item in ast.walk(node.test))
        return "value-decides-size" if sized else "value-decides-branch", node.test
    return "value-decides-size", None


def _takes_number(node: ast.Call, plain: frozenset[str], sure: bool) -> bool:
    """``x.item()``, ``float(x.sum())``, and ``float(x)`` unless it has to be `sure`; not ``float(self.eps)`` of an
    attribute that is a number already.
    """
    if not isinstance(node.func, ast.Name):
        return isinstance(node.func, ast.Attribute) and node.func.attr in _READS
    if node.func.id not in _NUMBERS or len(node.args) != 1:
        return False
    (taken,) = node.args
    if isinstance(taken, ast.Attribute) and taken.attr in plain:
        return False
    return not isinstance(taken, ast.Constant) and not (sure and isinstance(taken, ast.Name))


def _call_of(met: _Met, method: str) -> ast.expr | None:
    for node in _nodes_at(met):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method:
            return node
    return None


def _nodes_at(met: _Met) -> Iterator[ast.AST]:
    """The nodes of a file that begin at a line or go over it, the outer ones first."""
    try:
        tree = ast.parse("".join(linecache.getlines(met.path)))
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, (ast.stmt, ast.expr)) and _covers(node, met.line):
            yield node


def _covers(node: ast.stmt | ast.expr, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def _place(met: _Met, node: ast.expr | None) -> MarkedPlace:
    if node is None:
        return MarkedPlace(met.path, met.line, None, met.line, None)
    return MarkedPlace(met.path, node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset)
