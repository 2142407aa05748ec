"""Constructor arguments that are known: from a pragma, else from the calls of the workspace, the first that build.

A pragma that says some arguments leaves the others to the calls. A call whose values the constructor refuses, where
those of another build, is told. Arguments that make a weight without elements are from code that does not run, behind a
condition that was not followed: they count for nothing. Where no call says anything, a library's own file may. Guesses
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from ts_shape_server.agent import ecosystem
from ts_shape_server.agent.infer.facts import uses
from ts_shape_server.agent.infer.facts.evidence import Drawn

_REFUSALS = (TypeError, ValueError, AssertionError)
"""What a constructor raises about its arguments; a missing file or package is no fault of the call."""
MAXIMUM = 8
"""Different sets of arguments that are tried."""


@dataclass(frozen=True)
class Given:
    """Expressions by parameter, where each comes from, and the calls whose values the constructor refuses.

    `supposed`: nobody passes them, they are settings that have what the class reads. `numbers` are guesses in what
    makes the modules among them, by the name of their parameter.
    """

    init: Mapping[str, str]
    sources: Mapping[str, str]
    refused: tuple[tuple[Drawn, Exception], ...] = ()
    supposed: bool = False
    numbers: Mapping[str, int] = field(default_factory=dict)


def choose(pragma: Mapping[str, str], drawn: Sequence[Drawn], build: Callable[[Mapping[str, str]], nn.Module]) -> Given:
    """The arguments to begin with. `build` makes an instance of such, and raises what the constructor raises."""
    candidates: list[tuple[dict[str, str], Drawn]] = []
    for item in drawn:
        merged = {**(item.init or {}), **pragma}
        if item.init is not None and all(merged != known for known, _ in candidates):
            candidates.append((merged, item))
    refused: list[tuple[Drawn, Exception]] = []
    empty: list[Mapping[str, str]] = []
    settled = len(candidates) == 1 and "0" not in candidates[0][0].values()
    for init, item in () if settled else candidates[:MAXIMUM]:
        try:
            if _has_empty_weight(build(init)):
                empty.append(init)
                continue
        except Exception as error:
            if item.certain and isinstance(error, _REFUSALS):
                refused.append((item, error))
            continue
        return Given(init, _sources(init, item, pragma), tuple(refused), item.kind == "settings", item.numbers)
    for init, item in candidates[:1]:
        if init in empty:
            break
        return Given(init, _sources(init, item, pragma), supposed=item.kind == "settings", numbers=item.numbers)
    return Given(dict(pragma), dict.fromkeys(pragma, "pragma"))


def with_files_of_libraries(cls: type[nn.Module], found: Given, namespace: Mapping[str, Any]) -> Given:
    """What a library's own file says of arguments that no call gives, as one for `LightningCLI` does: also of those
    that have a default.
    """
    if any(source != "pragma" for source in found.sources.values()):
        return found
    asked = [item for item in uses.parameters(cls) if item.name not in found.init]
    answers = {item.name: ecosystem.configured(item, cls, namespace) for item in asked}
    said = {name: answer for name, answer in answers.items() if answer is not None}
    return replace(
        found,
        init={**found.init, **{name: expression for name, (expression, _) in said.items()}},
        sources={**found.sources, **{name: file for name, (_, file) in said.items()}},
    )


def _has_empty_weight(module: nn.Module) -> bool:
    return any(0 in item.shape for item in module.parameters() if not nn.parameter.is_lazy(item))


def _sources(init: Mapping[str, str], item: Drawn, pragma: Mapping[str, str]) -> dict[str, str]:
    return {name: "pragma" if name in pragma else item.label for name in init}
