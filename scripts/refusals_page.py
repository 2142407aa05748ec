"""``python -m scripts.refusals_page``: makes ``docs/refusals.md`` from the rows, the refusals and the rewrites."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from ts_shape_server.agent.script import neutralise, refusals
from ts_shape_server.agent.script.refusals.refusal import RefusalKind
from ts_shape_server.agent.torch_says import compiler
from ts_shape_server.analysis.rewrites import RULES, Rule

PAGE = Path(__file__).parents[1] / "docs" / "refusals.md"
MOST_SAID = 160
"""Characters of one of torch's messages."""
_EXAMPLES = re.compile(r"^(?:Refused|Input|Called|Before|After|Left alone):", re.MULTILINE)
_SECTION = re.compile(r"^(Before|After|Left alone):\n((?:    .*\n|\n)+)", re.MULTILINE)

_HEAD = """# Refusals of TorchScript, and what is done about each

Made by `python -m scripts.refusals_page` from the tables themselves. Each kind of refusal has an id, which JSON, tests
and rewrites use: what torch says (a row of `agent/torch_says/compiler_rows.py`), the sentence that is told and how a
copy is changed to go past it (its entry in `agent/script/refusals`; `…` stands for what the run saw), and the rewrites
that know something against it (`analysis/rewrites`). A rewrite is offered only where a trial shows that the class
scripts further and computes the same.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD, *_ladder(), "\n## Kinds\n"]
    for refusal in refusals.BY_KIND.values():
        parts += _kind(refusal)
    parts.append("\n## Rewrites\n\nIn the order of their modules. Those without a kind look at the source alone.\n")
    for module in dict.fromkeys(inspect.getmodule(rule.rewriter) for rule in RULES):
        assert module is not None
        parts += _rewrites(module)
    return "\n".join(part.rstrip("\n") for part in parts) + "\n"


def _ladder() -> Iterator[str]:
    """How a copy is changed so that the compiler goes past a refusal, in the order that `candidates` has."""
    yield "\n## How all refusals are found\n"
    yield "torch names one refusal and stops. A copy is changed at that place, so that the compiler names the next one."
    yield "What is tried, the gentlest first (`agent/script/neutralise.py`):\n"
    called = [
        node.func.id
        for node in ast.walk(ast.parse(inspect.getsource(neutralise.candidates)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.startswith("_")
    ]
    source = inspect.getsource(neutralise.candidates)
    for name in sorted(dict.fromkeys(called), key=lambda name: source.index(f"{name}(")):
        yield f"1. `{name.strip('_')}`: {_summary(getattr(neutralise, name))}"
    yield "1. the whole body, with a value of the type that the run saw"


def _kind(refusal: RefusalKind) -> Iterator[str]:
    kind = refusal.kind
    yield f"\n### {kind}\n"
    said = [text for row in (*compiler.REFUSALS, *compiler.MENTIONS) if row.kind == kind for text in row.said]
    if said:
        yield f"- torch: `{_short(said[0])}`"
    yield f"- told: {_sentence(refusal)}"
    for change in (refusal.neutralised, refusal.mended):
        if change is not None:
            yield f"- the copy: {_summary(change)}"
    for rule in RULES:
        if kind in rule.kinds:
            yield f"- rewrite: [`{_name(rule)}`](#{_anchor(rule)}) {_summary(rule.rewriter)}"


def _rewrites(module: ModuleType) -> Iterator[str]:
    short = module.__name__.rpartition(".")[2]
    text = inspect.cleandoc(module.__doc__ or "")
    yield f"\n### {short}\n"
    yield _EXAMPLES.split(text)[0].strip()
    yield ""
    for rule in RULES:
        if rule.rewriter.__module__ == module.__name__:
            kinds = ", ".join(f"`{kind}`" for kind in rule.kinds) or "no kind"
            yield f"- `{rule.rewriter.__name__}` ({kinds}): {_summary(rule.rewriter)}"
    for title, body in _SECTION.findall(text + "\n"):
        yield f"\n{title}:\n\n```python\n{inspect.cleandoc(body)}\n```"


def _sentence(refusal: RefusalKind) -> str:
    """The words of a kind; of a sentence that is made of facts the longest form, with `…` for what differs."""
    if isinstance(refusal.sentence, str):
        return refusal.sentence.replace("{{", "{").replace("}}", "}")
    made = ast.parse(inspect.getsource(refusal.sentence))
    told = [node.args[0] for node in ast.walk(made) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Told"]
    texts = [_text(node) for node in told if isinstance(node, (ast.Constant, ast.JoinedStr))]
    return max(texts, key=len, default="made of what the run saw")


def _text(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "".join(str(item.value) if isinstance(item, ast.Constant) else "…" for item in node.values)


def _summary(function: Callable[..., object]) -> str:
    """The first paragraph of a docstring on one line."""
    return " ".join(inspect.cleandoc(function.__doc__ or "").partition("\n\n")[0].split())


def _short(text: str) -> str:
    line = " ".join(text.split()).replace("`", "'")
    return line if len(line) <= MOST_SAID else line[: MOST_SAID - 1] + "…"


def _name(rule: Rule) -> str:
    return f"{_anchor(rule)}.{rule.rewriter.__name__}"


def _anchor(rule: Rule) -> str:
    return rule.rewriter.__module__.rpartition(".")[2]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
