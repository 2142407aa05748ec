"""Other plans of constructor arguments: an argument more, modules for what is called, sizes that agree."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Iterator

from torch import nn

from ts_shape_server.agent.infer.constructor import argument_modules, configs
from ts_shape_server.agent.infer.constructor.arguments import (
    Plan,
    Sizes,
    by_name,
    call_arguments,
    callable_by_name,
    classes_with,
    expression_for,
    int_arguments,
    optional,
)
from ts_shape_server.agent.infer.constructor.moves.move import Refusal, plan_move
from ts_shape_server.agent.infer.running import mismatch

IDENTITY = "nn.Identity()"
MOST_AGREEING = 6


@plan_move
def attribute_of_config(refusal: Refusal) -> Iterator[Plan]:
    """A config has the attributes that the code reads; each is learned when it is missed.

    before: cfg="__import__('types').SimpleNamespace()"
    line: self.layer = nn.Linear(cfg.hidden, 4)
    says: AttributeError: 'types.SimpleNamespace' object has no attribute 'hidden'
    after: cfg="__import__('types').SimpleNamespace(hidden=16)"
    """
    attribute = configs.missing_attribute(refusal.error)
    if attribute is None:
        return
    for name, expression in refusal.plan.items():
        if name not in refusal.given and configs.is_config(expression):
            for grown in configs.grown(
                expression, attribute, refusal.line, lambda part: by_name(part, Sizes(refusal.profile))
            ):
                yield refusal.changed(name, grown)


@plan_move
def arguments_passed_on(refusal: Refusal) -> Iterator[Plan]:
    """What a constructor passes on by ``**kwargs`` or ``*args`` needs the arguments of the one that gets it.

    before: width='16'
    cls: PassesOn
    says: TypeError: Inner.__init__() missing 1 required positional argument: 'depth'
    after: width='16', depth='2'
    """
    missing = refusal.said.get("missing-arguments")
    if missing is None:
        return
    sizes = Sizes(refusal.profile)
    names = [name for name in missing.names("names") if name not in refusal.plan]
    try:
        signature = inspect.signature(refusal.cls.__init__)  # type: ignore[misc]  # read only
    except (TypeError, ValueError):
        return
    kinds = {item.kind for item in signature.parameters.values()}
    if names and inspect.Parameter.VAR_KEYWORD in kinds:
        yield {**refusal.plan, **{name: by_name(name, sizes) for name in names}}
    if names and inspect.Parameter.VAR_POSITIONAL in kinds and "*args" not in refusal.plan:
        yield refusal.changed("*args", f"[{', '.join(by_name(name, sizes) for name in names)}]")


@plan_move
def modules_for_what_is_called(refusal: Refusal) -> Iterator[Plan]:
    """What is called as a module is one: a class of the file whose name fits, or one that passes its first input on.

    before: layer='nn.Identity()'
    says: TypeError: Identity.forward() takes 2 positional arguments but 3 were given
    after: layer="type('Passing', (nn.Module,), {'forward': lambda self, *inputs, **named: inputs[0]})()"
    """
    if "no-module" not in refusal.said:
        return
    plan = refusal.plan
    standing_in = (IDENTITY, argument_modules.PASSING)
    guessed = [
        name
        for name in plan
        if name not in refusal.given
        and (
            plan[name] in standing_in
            or (not re.match(r"[\w.]*[A-Z]\w*\(", plan[name]) and "identity-met" not in refusal.said)
        )
    ]
    for name in guessed:
        for expression in argument_modules.candidates(
            name,
            refusal.cls,
            refusal.namespace,
            lambda found: call_arguments(found, refusal.profile, refusal.namespace),
        ):
            yield refusal.changed(name, expression)
    if IDENTITY in plan.values():
        yield {
            name: argument_modules.PASSING if expression == IDENTITY else expression
            for name, expression in plan.items()
        }


@plan_move
def optional_argument(refusal: Refusal) -> Iterator[Plan]:
    """An argument that may be left out is passed after all, where the error or the failing line names it.

    before: width='16'
    cls: MayBeLeftOut
    line: self.layer = nn.Linear(width, hidden)
    says: TypeError: empty(): argument 'size' must be tuple of ints, not NoneType
    after: width='16', hidden='16'
    """
    for name in optional(refusal.cls):
        named = name in refusal.said.words or ("none-met" in refusal.said and name in refusal.blamed)
        if name not in refusal.plan and named:
            called = "not-callable" in refusal.said
            yield refusal.changed(name, callable_by_name(name) if called else by_name(name, Sizes(refusal.profile)))


@plan_move
def key_of_mapping(refusal: Refusal) -> Iterator[Plan]:
    """A mapping has the key that is missed.

    before: cfg="{'width': 16}"
    says: KeyError: 'depth'
    after: cfg="{'depth': 2, 'width': 16}"
    """
    key = refusal.said.get("missing-key")
    if not isinstance(refusal.error, KeyError) or key is None:
        return
    for name in refusal.open_names:
        expression = refusal.plan[name]
        if expression.startswith("{"):
            added = f"{key.name('name')!r}: {by_name(key.name('name'), Sizes(refusal.profile))}"
            yield refusal.changed(name, "{" + added + ", " + expression[1:])


@plan_move
def key_of_other_keywords(refusal: Refusal) -> Iterator[Plan]:
    """What a constructor takes by its key out of all other keyword arguments is an argument.

    before: width='16'
    cls: PassesOn
    line: self.depth = others["depth"]
    says: KeyError: 'depth'
    after: width='16', depth='2'
    """
    key = refusal.said.get("missing-key")
    if not isinstance(refusal.error, KeyError) or key is None or key.name("name") in refusal.plan:
        return
    try:
        signature = inspect.signature(refusal.cls.__init__)  # type: ignore[misc]  # read only
    except (TypeError, ValueError):
        return
    spread = [item.name for item in signature.parameters.values() if item.kind is item.VAR_KEYWORD]
    name = key.name("name")
    if spread and spread[0] in refusal.blamed and name.isidentifier() and not keyword.iskeyword(name):
        yield {**refusal.plan, name: expression_for(name, refusal.profile)}


@plan_move
def sizes_that_agree(refusal: Refusal) -> Iterator[Plan]:
    """Where two sizes should be one, and an argument is one of them or a part of it, it is changed: larger ones first.

    before: width='16', depth='2'
    says: RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x32 and 48x5)
    after: width='24', depth='2'
    """
    pair = mismatch.sizes_that_disagree(refusal.error)
    if pair is None:
        return
    first, second = max(pair), min(pair)
    plans: list[Plan] = []
    for wrong, right in ((second, first), (first, second)):
        for name, value in int_arguments(dict(refusal.plan)).items():
            if name in refusal.given:
                continue
            if value == wrong:
                plans.append(refusal.changed(name, str(right)))
            elif value > 1 and wrong and wrong % value == 0 and right % (wrong // value) == 0:
                plans.append(refusal.changed(name, str(right // (wrong // value))))
    yield from plans[:MOST_AGREEING]


@plan_move
def another_class(refusal: Refusal) -> Iterator[Plan]:
    """Where a class of the file was taken for an argument, another one that takes as much may be meant.

    before: block='Basic'
    namespace: Basic, Bottleneck
    says: AttributeError: 'NoneType' object has no attribute 'parameters'
    after: block='Bottleneck'
    """
    for name in refusal.open_names:
        known = refusal.namespace.get(refusal.plan[name])
        if not (inspect.isclass(known) and issubclass(known, nn.Module)):
            continue
        attributes = {part for part in vars(known) if not part.startswith("_")}
        for other in classes_with(attributes, refusal.namespace):
            if other != refusal.plan[name]:
                yield refusal.changed(name, other)


CONFIGS = (attribute_of_config,)
ALL = (
    arguments_passed_on,
    modules_for_what_is_called,
    optional_argument,
    key_of_mapping,
    key_of_other_keywords,
    another_class,
)
OF_RUNS = (sizes_that_agree,)
