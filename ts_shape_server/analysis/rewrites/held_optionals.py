"""An attribute that may be None, held under a local name from where it is asked for None.

Why: after `if self.count is not None:` TorchScript knows of a local name that it is no None, and not of an attribute,
since anything may set it in between. A local name gets the attribute's value before the guard; what is read behind the
guard is that name, and what is stored goes to both. An attribute that no class body annotates is annotated with the
type that the run saw in it. Where something else that runs in between may set the attribute, nothing is changed, nor
where the attribute is called: a module or a function that is None is decided when the class is compiled.

Input: x=[2, 3]

Before:
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.mask = None

        def forward(self, x):
            if self.mask is None or self.mask.size(0) != x.size(0):
                self.mask = torch.ones(x.size(0), 1)
            return x * self.mask

After:
    import torch
    from torch import nn
    from typing import Optional


    class Net(nn.Module):
        mask: Optional[torch.Tensor]

        def __init__(self):
            super().__init__()
            self.mask = None

        def forward(self, x):
            mask = self.mask
            if mask is None or mask.size(0) != x.size(0):
                mask = torch.ones(x.size(0), 1)
                self.mask = mask
            return x * mask

Refused: no-matching-overload
Input: x=[2, 3]

Before:
    from typing import Optional

    from torch import nn


    class Net(nn.Module):
        count: Optional[int]

        def __init__(self, count=2):
            super().__init__()
            self.count = count

        def forward(self, x):
            if self.count is not None and self.count > 0:
                self.count += 1  # this one too
                return x + self.count
            return x

After:
    from typing import Optional

    from torch import nn


    class Net(nn.Module):
        count: Optional[int]

        def __init__(self, count=2):
            super().__init__()
            self.count = count

        def forward(self, x):
            count = self.count
            if count is not None and count > 0:
                count += 1  # this one too
                self.count = count
                return x + count
            return x

Refused: tensor-index-type
Input: x=[2, 3]

Before:
    from typing import NamedTuple, Optional

    import torch
    from torch import nn


    class Pick(NamedTuple):
        row: Optional[int]


    class Net(nn.Module):
        def pick(self, number: int) -> Pick:
            return Pick(number)

        def forward(self, x):
            p = self.pick(1)
            if p.row is None:
                return x[0]
            first = x * 2.0
            return first[p.row]

After:
    from typing import NamedTuple, Optional

    import torch
    from torch import nn


    class Pick(NamedTuple):
        row: Optional[int]


    class Net(nn.Module):
        def pick(self, number: int) -> Pick:
            return Pick(number)

        def forward(self, x):
            p = self.pick(1)
            row = p.row
            if row is None:
                return x[0]
            first = x * 2.0
            return first[row]

Refused: no-matching-overload
Input: x=[2, 3]

Left alone:
    from typing import Optional

    from torch import nn


    class Net(nn.Module):
        count: Optional[int]

        def __init__(self, count=2):
            super().__init__()
            self.count = count

        def raised(self):
            self.count = 5

        def forward(self, x):
            if self.count is not None:
                self.raised()
                return x + self.count
            return x

Left alone:
    from torch import nn


    class Net(nn.Module):
        def __init__(self, layer=None):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            if self.layer is not None:
                return self.layer(x)
            return x

Left alone:
    from typing import Optional

    from torch import nn


    class Net(nn.Module):
        count: Optional[int]

        def __init__(self, count=2):
            super().__init__()
            self.count = count

        def forward(self, x):
            return x + self.count
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
from ts_shape_server.analysis.scopes import FUNCTIONS, leaves_function
from ts_shape_server.contract.places import Range, TextEdit
from ts_shape_server.contract.report import Annotation


def held(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """For each attribute in the refused statement that a guard asks for None."""
    statement = place.statement
    heads = [item for item in ast.iter_child_nodes(statement) if isinstance(item, ast.expr)]
    texts = dict.fromkeys(
        situation.text(node) for head in heads for node in ast.walk(head) if _is_chain(node) and node is not place.owner
    )
    for text in texts:
        guard = _guard(situation, statement, text)
        if guard is None or _is_called(situation, place, text):
            continue
        region = _region(situation, guard, text)
        edits = _edits(situation, place, guard, region, text)
        if edits is not None:
            yield Rewrite("guarded-as-local", f"Hold `{text}` in a local name while it is asked for None", edits)


def _is_called(situation: Situation, place: Place, text: str) -> bool:
    """Whether an attribute holds a function or module: a local name cannot hold the one, and need not the other."""
    calls = [node for node in ast.walk(place.function) if isinstance(node, ast.Call)]
    return any(situation.text(node.func) == text for node in calls)


def _is_chain(node: ast.AST) -> bool:
    """Whether a node is an attribute of a name, or of an attribute of one."""
    if not isinstance(node, ast.Attribute):
        return False
    return isinstance(node.value, ast.Name) or _is_chain(node.value)


def _guard(situation: Situation, statement: ast.stmt, text: str) -> ast.stmt | None:
    """The statement that asks for None, around a statement or before it in one of the blocks around it."""
    current: ast.AST | None = statement
    while isinstance(current, ast.stmt) and not isinstance(current, FUNCTIONS):
        if _asks(situation, current, text):
            return current
        block = situation.block_of(current) or []
        before = block[: block.index(current)] if current in block else []
        found = [item for item in before if _asks(situation, item, text) and _settles(situation, item, text)]
        if found:
            return found[-1]
        current = situation.parents.get(current)
    return None


def _asks(situation: Situation, statement: ast.stmt, text: str) -> bool:
    tests: list[ast.expr] = []
    if isinstance(statement, (ast.If, ast.Assert)):
        tests.append(statement.test)
    if not isinstance(statement, (ast.For, ast.While, ast.With, ast.If, ast.Try)):
        tests += [node.test for node in ast.walk(statement) if isinstance(node, ast.IfExp)]
    return any(
        isinstance(node, ast.Compare)
        and isinstance(node.ops[0], (ast.Is, ast.IsNot))
        and isinstance(node.comparators[0], ast.Constant)
        and node.comparators[0].value is None
        and situation.text(node.left) == text
        for test in tests
        for node in ast.walk(test)
    )


def _settles(situation: Situation, statement: ast.stmt, text: str) -> bool:
    """Whether behind a guard the attribute is no None: it leaves, or gives it a value."""
    if not isinstance(statement, ast.If):
        return isinstance(statement, ast.Assert)
    return leaves_function(statement.body[-1]) or bool(_stores(situation, statement.body, text))


def _region(situation: Situation, guard: ast.stmt, text: str) -> list[ast.stmt]:
    """The statements that read the local name: the guard, and those behind it where it settles something."""
    block = situation.block_of(guard) or [guard]
    return block[block.index(guard) :] if _settles(situation, guard, text) else [guard]


def _stores(situation: Situation, body: Sequence[ast.stmt], text: str) -> list[ast.AST]:
    return [
        node
        for statement in body
        for node in ast.walk(statement)
        if _is_chain(node) and not isinstance(getattr(node, "ctx", None), ast.Load) and situation.text(node) == text
    ]


def _edits(
    situation: Situation, place: Place, guard: ast.stmt, region: list[ast.stmt], text: str
) -> tuple[TextEdit, ...] | None:
    top = guard
    while (
        isinstance(above := situation.parents.get(top), ast.If) and above.orelse == [top] and _is_elif(situation, top)
    ):
        top = above
    if not situation.alone(top) or _may_change(situation, place, region, text):
        return None
    name = situation.free_name(text.rsplit(".", 1)[-1], place.function)
    edits = [situation.before(top, f"{name} = {text}")]
    for statement in region:
        for node in ast.walk(statement):
            if not _is_chain(node) or situation.text(node) != text:
                continue
            edits.append(situation.replace(node, name))
            if isinstance(getattr(node, "ctx", None), ast.Load):
                continue
            storing = situation.parents.get(node)
            if not _is_plain_store(situation, storing, node):
                return None
            assert isinstance(storing, ast.stmt)
            end = len(situation.source.line(storing.end_lineno or storing.lineno))
            line = storing.end_lineno or storing.lineno
            after = f"{situation.source.newline}{situation.indent(storing)}{text} = {name}"
            edits.append(TextEdit(Range(line, end, line, end), after))
    return (*edits, *_annotated(situation, place, region, text))


def _is_elif(situation: Situation, statement: ast.stmt) -> bool:
    span = situation.range_of(statement)
    return situation.source.line(span.line)[span.column :].startswith("elif")


def _is_plain_store(situation: Situation, statement: ast.AST | None, target: ast.AST) -> bool:
    if isinstance(statement, ast.Assign):
        return statement.targets == [target] and situation.alone(statement)
    return isinstance(statement, ast.AugAssign) and statement.target is target and situation.alone(statement)


def _may_change(situation: Situation, place: Place, region: list[ast.stmt], text: str) -> bool:
    """Whether the attribute may be another one behind the guard by something else than a store in plain sight."""
    root, last = text.split(".")[0], text.rsplit(".", 1)[-1]
    prefixes = {text[:number] for number, letter in enumerate(text) if letter == "."}
    own = place.function.args.args[0].arg if place.owner is not None and place.function.args.args else ""
    setters = {
        function.name
        for function in situation.functions
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and node.attr == last and isinstance(node.ctx, (ast.Store, ast.Del))
    }
    for node in (node for statement in region for node in ast.walk(statement)):
        if isinstance(node, (*FUNCTIONS, ast.Lambda, ast.Delete)):
            return True
        stored = isinstance(getattr(node, "ctx", None), ast.Store)
        if stored and isinstance(node, (ast.Name, ast.Attribute)) and situation.text(node) in prefixes:
            return True
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            given = any(isinstance(item, ast.Name) and item.id == own for item in node.args)
            if called in setters or (given and root == own):
                return True
    return False


def _annotated(situation: Situation, place: Place, region: list[ast.stmt], text: str) -> tuple[TextEdit, ...]:
    """The annotation of an attribute that is None when the class is compiled, in the class that has none yet."""
    own, _, attribute = text.partition(".")
    first = place.function.args.args[0].arg if place.function.args.args else ""
    if place.owner is None or own != first or "." in attribute:
        return ()
    if any(isinstance(item, ast.AnnAssign) and situation.text(item.target) == attribute for item in place.owner.body):
        return ()
    values = [situation.parents.get(node) for node in _stores(situation, region, text)]
    kinds = {situation.type_of(item.value) for item in values if isinstance(item, (ast.Assign, ast.AugAssign))}
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind is None or kind == "None" or "!" in kind or "?" in kind:
        return ()
    held = kind if kind.startswith("Optional[") else f"Optional[{kind}]"
    return situation.annotated([Annotation(situation.qualified(place.owner), "", attribute, held, True)])
