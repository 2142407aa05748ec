"""How long a list of modules is, as far as the file says it: one module for each number of a `range`.

A list counts only if it is made in plain sight, in one place, and nothing in the file can make it longer or shorter.
"""

from __future__ import annotations

import ast

from ts_shape_server.analysis.rewrites.situation import Situation


def has_one_for_each_number(situation: Situation, owner: ast.ClassDef | None, text: str, end: str) -> bool:
    """Whether a list is made with one module for each number below `end`, in plain sight, and not added to later."""
    inside = owner or situation.tree
    made = [
        node.value
        for node in ast.walk(inside)
        if isinstance(node, ast.Assign) and [situation.text(item) for item in node.targets] == [text]
    ]
    changed = _changed(situation, owner, text)
    if changed is None:
        return False
    grown = [node for node in changed if node.attr == "append"]
    if (
        len(grown) != len(changed)
        or len(made) != 1
        or not isinstance(made[0], ast.Call)
        or len(made[0].args) > 1
        or made[0].keywords
    ):
        return False
    ends = {f"range({item})" for item in (end, _given(situation, inside, end)) if item}
    if not made[0].args:
        return len(grown) == 1 and _appended_in_turn(situation, grown[0], ends)
    listed = made[0].args[0]
    if grown or not isinstance(listed, (ast.ListComp, ast.GeneratorExp)) or len(listed.generators) != 1:
        return False
    only = listed.generators[0]
    return not only.ifs and situation.text(only.iter) in ends


def _changed(situation: Situation, owner: ast.ClassDef | None, text: str) -> list[ast.Attribute] | None:
    """What is called of a list anywhere in the file (``self.layers.append``), but for calls of the whole; None where
    it is used in a way that may change how long it is, or that hands it on to what may.
    """
    name = text.rpartition(".")[2]
    nodes: list[ast.Attribute | ast.Name] = []
    if owner is not None and name != text:
        nodes += situation.attributes_of(owner, name)
    else:
        nodes += [node for node in ast.walk(situation.tree) if isinstance(node, ast.Name) and node.id == name]
    found: list[ast.Attribute] = []
    for node in nodes:
        above = situation.parents.get(node)
        if isinstance(above, ast.Attribute):
            found.append(above)
        elif not _only_reads(node, above):
            return None
    return found


def _only_reads(node: ast.Attribute | ast.Name, above: ast.AST | None) -> bool:
    """Whether a list is made, indexed, gone through, asked for its length or called by what stands around it."""
    if isinstance(node.ctx, ast.Store):
        return isinstance(above, ast.Assign)
    if isinstance(above, ast.Subscript):
        return above.value is node and isinstance(above.ctx, ast.Load)
    if isinstance(above, ast.Call):
        return node is above.func or ast.unparse(above.func) in ("len", "enumerate", "zip", "reversed", "iter")
    return isinstance(above, (ast.For, ast.comprehension)) and above.iter is node


def _given(situation: Situation, inside: ast.AST, end: str) -> str:
    """The constructor's parameter that an attribute is set to, once and as it came; empty for anything else."""
    set_to = [
        (node, node.value)
        for node in ast.walk(inside)
        if isinstance(node, ast.Assign) and end in [situation.text(item) for item in node.targets]
    ]
    name = end.removeprefix("self.")
    places = situation.attributes_of(inside, name) if isinstance(inside, ast.ClassDef) else ()
    stores_of = [node for node in places if not isinstance(node.ctx, ast.Load)]
    if len(set_to) != 1 or len(stores_of) != 1:
        return ""
    statement, value = set_to[0]
    function = situation.function_of(statement)
    if not isinstance(value, ast.Name) or function is None or function.name != "__init__":
        return ""
    stores = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and node.id == value.id and not isinstance(node.ctx, ast.Load)
    ]
    return value.id if not stores and statement in function.body else ""


def _appended_in_turn(situation: Situation, append: ast.Attribute, ends: set[str]) -> bool:
    """Whether a list gets its modules in each turn of a loop over such a range, at the constructor's own depth."""
    statement = situation.statement_of(append)
    loop = situation.parents.get(statement) if statement is not None else None
    function = situation.function_of(append)
    leaves = any(isinstance(node, (ast.Break, ast.Continue)) for node in ast.walk(loop)) if loop is not None else True
    return (
        isinstance(loop, ast.For)
        and isinstance(statement, ast.Expr)
        and append.attr == "append"
        and not leaves
        and function is not None
        and loop in function.body
        and situation.text(loop.iter) in ends
    )
