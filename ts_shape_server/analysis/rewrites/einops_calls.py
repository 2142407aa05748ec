"""einops functions as the tensor methods that do the same.

Why: the functions of einops take `*args` and `**kwargs`, cache by pattern and loop over what they parse: TorchScript
compiles none of them. A pattern that is a literal says which methods of a tensor do it. The layers of einops script.

Refused: library-function function=rearrange
Input: x=[2, 8, 3, 4]

Before:
    from einops import rearrange, reduce
    from torch import nn


    class Net(nn.Module):
        def __init__(self, heads=2):
            super().__init__()
            self.heads = heads

        def forward(self, x):
            y = rearrange(x, "b (h d) x y -> b h (x y) d", h=self.heads)
            return rearrange(y.softmax(-1), "b h n d -> b n (h d)") + reduce(x, "b c x y -> b 1 c", "mean")

After:
    from torch import nn


    class Net(nn.Module):
        def __init__(self, heads=2):
            super().__init__()
            self.heads = heads

        def forward(self, x):
            y = x.unflatten(1, (self.heads, -1)).permute(0, 1, 3, 4, 2).flatten(2, 3)
            return y.softmax(-1).permute(0, 2, 1, 3).flatten(2, 3) + x.mean(dim=(2, 3)).unsqueeze(1)

Before:
    import einops
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(torch.zeros(1, 1, 4))

        def forward(self, x):
            token = einops.repeat(self.token, "() n d -> b n d", b=x.shape[0])
            y = torch.cat([token, einops.rearrange(x, "b c h w -> b (c h) w")], dim=1)
            return einops.einsum(y, y, "batch i d, batch j d -> batch i j")

After:
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(torch.zeros(1, 1, 4))

        def forward(self, x):
            token = self.token.expand(x.shape[0], -1, -1)
            y = torch.cat([token, x.flatten(1, 2)], dim=1)
            return torch.einsum("bid,bjd->bij", y, y)

Left alone:
    from einops import rearrange
    from torch import nn


    class Net(nn.Module):
        def __init__(self, pattern="b c h w -> b h w c"):
            super().__init__()
            self.pattern = pattern

        def forward(self, x):
            return rearrange(x, self.pattern)

Left alone:
    from torch import nn


    def rearrange(x, pattern):
        return x


    class Net(nn.Module):
        def forward(self, x):
            return rearrange(x, "b c h w -> b h w c")
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis import axes
from ts_shape_server.analysis.imports import without_import
from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
from ts_shape_server.analysis.scopes import FUNCTIONS

_FUNCTIONS = ("rearrange", "reduce", "repeat", "einsum")


def as_methods(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """Every einops call in what the class reaches in this file, all together: to torch they are one refusal."""
    nodes = [node for item in _reached(situation, place) for node in ast.walk(item)]
    calls = [node for node in dict.fromkeys(nodes) if _function(situation, node)]
    made = {node: text for node in calls if (text := _spelled(situation, node)) is not None}
    kept = [node for node in calls if node not in made]
    inner = {item for node in made for item in ast.walk(node) if item is not node}
    outer = [node for node in made if node not in inner]
    if not outer or any(node in kept for item in outer for node in ast.walk(item)):
        return
    edits = [situation.replace(node, made[node]) for node in outer]
    names = ", ".join(f"`{name}`" for name in dict.fromkeys(_function(situation, node) for node in made))
    needs = any(text.startswith(f"{situation.torch_name()}.") for text in made.values())
    torch = situation.torch_import() if needs else []
    gone = without_import(situation.source, situation.tree, _unused(situation, outer))
    yield Rewrite("einops-as-methods", f"Write {names} as methods of the tensor", (*edits, *torch, *gone))


def _reached(situation: Situation, place: Place) -> Iterator[ast.AST]:
    """The class or function of the refusal, with what stands at the top of the file and is named in what is reached."""
    tops = {item.name: item for item in situation.tree.body if isinstance(item, (*FUNCTIONS, ast.ClassDef))}
    waiting: list[ast.AST] = [place.owner or place.function]
    waiting += [tops[name] for name in (situation.class_name.split(".")[0],) if name in tops]
    seen: set[ast.AST] = set()
    while waiting:
        current = waiting.pop(0)
        if current in seen:
            continue
        seen.add(current)
        yield current
        names = {node.id for node in ast.walk(current) if isinstance(node, ast.Name)}
        waiting += [item for name, item in tops.items() if name in names]


def _function(situation: Situation, node: ast.AST) -> str:
    """The name of the einops function that a call is of; empty for any other node."""
    path = situation.path_of(node.func) if isinstance(node, ast.Call) else ""
    module, _, name = path.rpartition(".")
    return name if module in ("einops", "einops.einops") and name in _FUNCTIONS else ""


def _spelled(situation: Situation, node: ast.AST) -> str | None:
    """A call as methods of what it is given; None where the pattern is not known or does more than methods do."""
    name = _function(situation, node)
    if not isinstance(node, ast.Call) or any(isinstance(item, ast.Starred) for item in node.args):
        return None
    if any(item.arg is None for item in node.keywords):
        return None
    if name == "einsum":
        return _einsum(situation, node)
    parameters = ("tensor", "pattern", "reduction")[: 3 if name == "reduce" else 2]
    given = dict(zip(parameters, node.args, strict=False))
    given |= {item.arg: item.value for item in node.keywords if item.arg in parameters}
    sizes = {item.arg or "": _size(situation, item.value) for item in node.keywords if item.arg not in parameters}
    if len(given) != len(parameters) or len(node.args) > len(parameters):
        return None
    texts = [item.value for item in (given[key] for key in parameters[1:]) if isinstance(item, ast.Constant)]
    if len(texts) != len(parameters) - 1 or not all(isinstance(text, str) for text in texts):
        return None
    methods = axes.methods(str(texts[0]), sizes, *map(str, texts[1:]))
    return None if methods is None else _receiver(situation, given["tensor"]) + methods


def _size(situation: Situation, node: ast.expr) -> str:
    return f"({situation.text(node)})" if isinstance(node, (ast.NamedExpr, ast.IfExp)) else situation.text(node)


def _receiver(situation: Situation, node: ast.expr) -> str:
    """The text of what methods are called on; a list of tensors is one tensor to einops."""
    kind = situation.type_of(node) or ""
    text = _text(situation, node)
    if isinstance(node, (ast.List, ast.ListComp)) or kind.startswith("List["):
        return f"{situation.torch_name()}.stack({text})"
    plain = isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript))
    return text if plain else f"({text})"


def _text(situation: Situation, node: ast.expr) -> str:
    """The text of an expression with the einops calls in it spelled as methods."""
    source = situation.source
    begin = source.offset(situation.range_of(node).line, situation.range_of(node).column)
    text = situation.text(node)
    spelled = _spelled(situation, node) if _function(situation, node) else None
    if spelled is not None:
        return spelled
    for inner in sorted(_outermost(situation, node), key=lambda item: (-item.lineno, -item.col_offset)):
        span, made = situation.range_of(inner), _spelled(situation, inner)
        start = source.offset(span.line, span.column) - begin
        end = source.offset(span.end_line, span.end_column) - begin
        text = text if made is None else text[:start] + made + text[end:]
    return text


def _outermost(situation: Situation, node: ast.AST) -> Iterator[ast.Call]:
    """The einops calls below a node that stand in no other."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call) and _function(situation, child):
            yield child
        else:
            yield from _outermost(situation, child)


def _einsum(situation: Situation, node: ast.Call) -> str | None:
    """einops puts the pattern last, torch the equation first."""
    last = node.args[-1] if node.args else None
    pattern = last.value if isinstance(last, ast.Constant) and isinstance(last.value, str) else None
    equation = axes.equation(pattern) if pattern is not None and not node.keywords else None
    if equation is None:
        return None
    operands = ", ".join(_text(situation, item) for item in node.args[:-1])
    return f'{situation.torch_name()}.einsum("{equation}", {operands})'


def _unused(situation: Situation, calls: list[ast.AST]) -> set[str]:
    """The names of einops that stand nowhere but in these calls."""
    names = {name for name, path in situation.classes.imports.items() if path.split(".")[0] == "einops"}
    inside = {item for call in calls for item in ast.walk(call)}
    nodes = [node for node in ast.walk(situation.tree) if node not in inside]
    names -= {node.id for node in nodes if isinstance(node, ast.Name)}
    return names - {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
