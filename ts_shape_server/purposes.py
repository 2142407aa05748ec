"""Which classes a workspace scripts, traces or exports, those inside of them and their bases included.

Starts at what is given to `torch.jit`, `torch.onnx`, `torch.export` and follows names through files, by meaning: a
class counts that makes the object, then every class that its code, and the functions that it calls, name. It may block
for as long as reading files takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from ts_shape_server.analysis.script_uses import WORDS, Helper, Purpose, ScriptUse, definitions, names, passing_on, uses

Follow = Callable[[str, str, str], tuple[str, str] | None]
"""The file and the name there of what a dotted name of a file (path, text, name) stands for."""

HELPERS_DEPTH = 3
"""How many functions may pass a module on before it is scripted."""
MOST_DEFINITIONS = 3000
"""That are followed for one workspace."""


def purposes(
    texts: Sequence[tuple[str, str]], words: Callable[[str], frozenset[str]], follow: Follow
) -> Mapping[tuple[str, str], frozenset[Purpose]]:
    """By file and name in it, what a definition is used for. `words` are those of a text, `follow` resolves names."""
    sources = {path: text for path, text in texts if path.endswith(".py")}
    found: dict[tuple[str, str], set[Purpose]] = {}
    waiting: list[tuple[tuple[str, str], Purpose]] = []
    for path, text, use in _given(texts, words, follow):
        for name in use.names:
            target = follow(path, text, name)
            if target is not None:
                waiting.append((target, use.purpose))
    while waiting and len(found) < MOST_DEFINITIONS:
        (path, name), purpose = waiting.pop()
        known = found.setdefault((path, name), set())
        if purpose in known or path not in sources:
            continue
        known.add(purpose)
        for inner in definitions(sources[path]).get(name.split(".")[0], ()):
            target = follow(path, sources[path], inner)
            if target is not None and target != (path, name):
                waiting.append((target, purpose))
    return {target: frozenset(each) for target, each in found.items()}


def _given(
    texts: Sequence[tuple[str, str]], words: Callable[[str], frozenset[str]], follow: Follow
) -> Iterator[tuple[str, str, ScriptUse]]:
    """Path, text and use of everything that is given away, also to functions that pass it on."""
    helpers: dict[tuple[str, str], set[Helper]] = {}
    for path, text in texts:
        if words(text) & WORDS:
            yield from ((path, text, use) for use in uses(text))
            for helper in passing_on(text) if path.endswith(".py") else ():
                helpers.setdefault((path, helper.name), set()).add(helper)
    for _ in range(HELPERS_DEPTH):
        further: dict[tuple[str, str], set[Helper]] = {}
        called = frozenset(name for _, name in helpers)
        for path, text in texts if helpers else ():
            local = frozenset(_local(path, text, called & words(text), helpers, follow))
            if local:
                yield from ((path, text, use) for use in uses(text, local))
                for helper in passing_on(text, local) - passing_on(text) if path.endswith(".py") else ():
                    further.setdefault((path, helper.name), set()).add(helper)
        helpers = further


def _local(
    path: str, text: str, called: frozenset[str], helpers: Mapping[tuple[str, str], set[Helper]], follow: Follow
) -> Iterator[Helper]:
    """The helpers by the names under which a file calls them."""
    if not called:
        return
    for name in names(text):
        if name.rsplit(".", 1)[-1] not in called:
            continue
        target = follow(path, text, name)
        for helper in helpers.get(target, ()) if target is not None and target[0] != path else ():
            yield replace(helper, name=name)
