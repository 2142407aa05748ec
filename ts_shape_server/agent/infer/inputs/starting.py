"""The first guess for each parameter of `forward`: from its annotation, its default, its name and what the body says.

Reads signatures and hints; runs nothing.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from ts_shape_server.agent import ecosystem, runs
from ts_shape_server.agent.ecosystem import Asked
from ts_shape_server.agent.infer.facts import annotated, companions, consumers
from ts_shape_server.agent.infer.facts.body import Hint, hints
from ts_shape_server.agent.infer.facts.consumers import Uses
from ts_shape_server.agent.infer.guesses import records, shape_text, values
from ts_shape_server.agent.infer.guesses.first_tensors import (
    BATCH,
    default_sizes,
    edges,
    is_adjacency,
    is_edges,
    named_tensor,
    of_one_image,
    tensor,
)
from ts_shape_server.agent.infer.guesses.values import (
    ConstantGuess,
    DictGuess,
    Guess,
    InputGuess,
    Inputs,
    SequenceGuess,
    TensorGuess,
)

_SIDES = (("H", "W"), ("h", "w"), ("height", "width"))
SIDE = 4
_FILES = re.compile(r"(^|_)(path|file|filename|folder|dir|directory|url)$")
NO_KEY = "x"
"""The key of a dict of which no key is known."""
_TENSOR_TYPES = {"LongTensor": "int64", "IntTensor": "int32", "BoolTensor": "bool", "FloatTensor": "float32"}


@dataclass(frozen=True)
class _Known:
    """What is known of all parameters: what evidence gives, what the body shows (`hints`), what annotations and
    comments say (`types`), and to which parts each is passed on. `own` has the names of the module.
    """

    parameters: tuple[inspect.Parameter, ...]
    given: Mapping[str, InputGuess]
    hints: Mapping[str, Hint]
    types: Mapping[str, Any]
    passed: Mapping[str, Uses]
    module: Any
    own: Mapping[str, Any]

    def hint(self, name: str) -> Hint:
        """What the body shows of a parameter."""
        return self.hints.get(name, Hint())


def first_guess(
    cls: type, given: Mapping[str, InputGuess], module: Any = None
) -> tuple[Inputs, dict[str, Hint], tuple[InputGuess, ...]]:
    """Guesses for the parameters that have to be passed, the hints behind them, and those left to their defaults.

    `given` holds what evidence knows by parameter name; it is taken as it is. `module` is an instance, where there is
    one: a list is as long as what it has for each item.
    """
    forward = cls.forward  # type: ignore[attr-defined]  # only modules come here
    shown = hints(forward)
    for name, length in companions.lengths(forward, module).items():
        if name in shown and shown[name].kind in ("", "list", "tuple"):
            shown[name].kind, shown[name].length = "list", length
    try:
        parameters = tuple(runs.forward_signature(cls).parameters.values())
    except (TypeError, ValueError):
        return (InputGuess("x", tensor(4)),), {}, ()
    types = {**annotated.commented(forward), **annotated.of(forward)}
    own = getattr(inspect.unwrap(forward), "__globals__", {})
    known = _Known(parameters, given, shown, types, consumers.of(forward, module, own), module, own)
    sides = _sides({parameter.name for parameter in parameters}, shown)
    required: list[InputGuess] = []
    omitted: list[InputGuess] = []
    for parameter in parameters:
        if parameter.name in given:
            required.append(given[parameter.name])
        elif parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            required += _starred(parameter, known)
        elif parameter.default is not parameter.empty:
            omitted.append(InputGuess(parameter.name, _of_parameter(parameter, known), "default"))
        elif parameter.name in sides:
            required.append(InputGuess(parameter.name, ConstantGuess(str(SIDE), "int")))
        else:
            annotation = types.get(parameter.name, parameter.annotation)
            source = "annotation" if _is_given(annotation) else "solved"
            required.append(InputGuess(parameter.name, _of_parameter(parameter, known), source))
    if sides:
        required = [replace(item, guess=_of_area(item.guess)) if not item.given else item for item in required]
    if any(_is_index(item.guess) for item in required):
        required, omitted = ([_with_whole_mask(item) for item in items] for items in (required, omitted))
    return _beside_nodes(tuple(required)), shown, tuple(omitted)


_ATTENTION_MASK = re.compile(r"(^|_)attention_mask$")
"""What tokenizers call the ones and zeros beside their ids."""


def _is_index(guess: Guess) -> bool:
    return isinstance(guess, TensorGuess) and guess.dtype == "int64" and len(guess.dims) == 2


def _with_whole_mask(item: InputGuess) -> InputGuess:
    """A mask beside ids as a tokenizer makes it: whole numbers, as the ids are."""
    guess = item.guess
    if item.given or not isinstance(guess, TensorGuess) or _ATTENTION_MASK.search(item.name.lower()) is None:
        return item
    if guess.dtype != "float32" or len(guess.dims) != 2:
        return item
    return replace(item, guess=replace(guess, dtype="int64", low=0, high=1))


def _of_parameter(parameter: inspect.Parameter, known: _Known) -> Guess:
    """What is passed to a parameter that has a name of its own."""
    annotation = known.types.get(parameter.name, parameter.annotation)
    hint, uses = known.hint(parameter.name), known.passed.get(parameter.name, Uses())
    if _is_text_at_most(parameter, annotation, hint):
        return ConstantGuess("None", "Optional[str]")
    keys = tuple(dict.fromkeys((*hint.keys, *uses.keys)))
    asked = Asked(parameter.name, annotation, hint.attributes, keys, uses.passed, known.module)
    guess = ecosystem.container(asked, known.own) or _guess(parameter, annotation, hint, known.own)
    return _with_known_items(guess, uses, known.module, known.own)


def _starred(parameter: inspect.Parameter, known: _Known) -> list[InputGuess]:
    """What goes in by ``*args``, where nothing else must, or by ``**kwargs``."""
    if parameter.kind is parameter.VAR_KEYWORD:
        named = {name for other in known.parameters for name in (other.name, "*" + other.name)}
        given = [item for name, item in known.given.items() if name not in named]
        return given or _spread(parameter.name, known, named)
    if "*" + parameter.name in known.given:
        return [known.given["*" + parameter.name]]
    positional = [other for other in known.parameters if other.kind is other.POSITIONAL_OR_KEYWORD]
    if any(other.default is other.empty for other in positional):
        return []
    return [InputGuess("*" + parameter.name, SequenceGuess((tensor(4),), "list"))]


def _beside_nodes(inputs: Inputs) -> Inputs:
    """Tensors of which nothing is known as features of the nodes, where one is a matrix of which are joined."""
    joined = next((item.guess for item in inputs if is_adjacency(item.name)), None)
    if not isinstance(joined, TensorGuess) or len(joined.dims) not in (2, 3):
        return inputs
    plain = [item.guess == tensor(4) and not item.given for item in inputs]
    features = TensorGuess((*joined.dims[:-1], 16))
    return tuple(replace(item, guess=features) if bare else item for item, bare in zip(inputs, plain))


def _spread(name: str, known: _Known, named: set[str]) -> list[InputGuess]:
    """What is passed by name to a parameter that takes all keyword arguments: what a part of a library needs that they
    are passed on to (``self.bert(**tokens)``), else those that are read of it. One that may be missing is passed if it
    is known what it is.
    """
    hint, uses = known.hint(name), known.passed.get(name, Uses())
    asked = Asked(name, keys=tuple(dict.fromkeys((*hint.keys, *uses.keys))), passed=uses.passed, module=known.module)
    found = ecosystem.container(asked, known.own) if asked.passed else None
    if not isinstance(found, DictGuess):
        items = {key: _known_item(key, uses.items.get(key, Uses()), known.module, known.own) for key in asked.keys}
        sure = [key for key in hint.keys if key not in hint.tested]
        # Where nothing else goes in, an answer without them would be one about nothing.
        sure = sure if sure or any(items.values()) or len(named) > 2 else list(hint.keys)
        told = {key: item or (named_tensor(key) if key in sure else None) for key, item in items.items()}
        found = DictGuess(tuple((key, item) for key, item in told.items() if item is not None))
    return [InputGuess(key, guess) for key, guess in found.items if key.isidentifier() and key not in named]


def _known_item(key: str, uses: Uses, module: Any, own: Mapping[str, Any]) -> Guess | None:
    """What an item is that is passed on to a part that documents it."""
    known: Guess | None = ecosystem.container(Asked(key, keys=uses.keys, passed=uses.passed, module=module), own)
    return known


def _with_known_items(guess: Guess, uses: Uses, module: Any, own: Mapping[str, Any]) -> Guess:
    """A dict, its items as the parts document them that these are passed on to."""
    if not isinstance(guess, DictGuess) or not any(item.passed for item in uses.items.values()):
        return guess
    known = {key: _known_item(key, item, module, own) for key, item in uses.items.items() if item.passed}
    items = {key: known.get(key) or item for key, item in guess.items if key != NO_KEY or not any(known.values())}
    more = {key: item for key, item in known.items() if item is not None and key not in items}
    return replace(guess, items=tuple({**items, **more}.items()))


def _is_text_at_most(parameter: inspect.Parameter, annotation: Any, hint: Hint) -> bool:
    """Whether a parameter that is None by default is called what a file is, and nothing says that it is a tensor."""
    used = hint.rank or hint.at_least or hint.asked or hint.attributes or hint.kind
    return (
        parameter.default is None
        and not _is_given(annotation)
        and not used
        and _FILES.search(parameter.name.lower()) is not None
    )


def _sides(names: set[str], known: Mapping[str, Hint]) -> tuple[str, ...]:
    """The pair of parameters that gives the sides of an image whose pixels come as a sequence, if there is one."""
    for pair in _SIDES:
        if names.issuperset(pair) and not any(known.get(name, Hint()).rank for name in pair):
            return pair
    return ()


def _of_area(guess: Guess) -> Guess:
    """A tensor of unknown rank as such a sequence: `SIDE` times `SIDE` items."""
    if isinstance(guess, TensorGuess) and guess.dims in (default_sizes(4), default_sizes(3)):
        return replace(guess, dims=(BATCH, SIDE * SIDE, 16))
    return guess


def _is_given(annotation: Any) -> bool:
    return annotation is not inspect.Parameter.empty and annotation is not Any


def _guess(parameter: inspect.Parameter, annotation: Any, hint: Hint, own: Mapping[str, Any]) -> Guess:
    """In this order: annotation, default, use in the body, name."""
    if _is_given(annotation):
        typed = from_annotation(annotation, hint, parameter.name, own)
        if typed is not None:
            return typed
    default = parameter.default
    if default is not parameter.empty and default is not None:
        constant = values.from_value(default)
        if constant is not None:
            return constant
    # A class that is named and could not be made is no other object.
    made = None if isinstance(annotation, type) and _is_given(annotation) else _object(parameter, hint, own)
    return made or from_hint(hint, parameter.name)


_SETTINGS = re.compile(r"(^|_)(cfg|conf|config|configs|configuration|args|opt|opts|options|params|hparams|settings)$")
"""What an object is called that holds numbers and choices."""


def beyond_tensors(hint: Hint) -> frozenset[str]:
    """The attributes and methods that are used of a parameter and that no tensor has."""
    return frozenset(name for name in hint.attributes if not hasattr(torch.Tensor, name))


def _object(parameter: inspect.Parameter, hint: Hint, own: Mapping[str, Any]) -> Guess | None:
    """An object with the attributes that are read, where a tensor does not have them: ``batch.premise``."""
    names = beyond_tensors(hint)
    if not names or hint.kind or hint.rank or hint.asked or _SETTINGS.search(parameter.name.lower()):
        return None
    methods = any(name in names for name in hint.methods)
    return records.of_names(names, methods, own, lambda kind, field: _field(kind, field, own))


def from_hint(hint: Hint, name: str) -> Guess:
    """What use in the body and the name suggest."""
    if is_edges(name) and hint.length in (None, 0, 2):
        # Unpacked or not, it is two rows of node numbers: ``src, dst = edge_index``.
        return edges(name)
    if hint.item is not None and hint.item.keys and hint.kind in ("", "list", "tuple"):
        return SequenceGuess((_of_one(hint.item),) * max(hint.length or 0, 2), "list")
    if hint.kind == "dict" and hint.keys:
        return DictGuess(tuple((key, named_tensor(key)) for key in hint.keys))
    if hint.kind == "dict":
        return DictGuess(((NO_KEY, tensor(4)),))
    if hint.kind == "tuple" and hint.length:
        return SequenceGuess(tuple(_parts(hint, number) for number in range(hint.length)), "tuple")
    if not hint.kind and not hint.whole and not hint.at_least and (hint.length or 0) > 1:
        return SequenceGuess((tensor(4),) * (hint.length or 0), "list")
    if hint.kind == "list" or (hint.iterated and hint.rank is None and not hint.at_least):
        return SequenceGuess((tensor(4),) * max(hint.length or 0, 2), "list")
    if hint.kind == "callable":
        return values.FUNCTION
    if hint.kind == "int":
        return ConstantGuess(str(BATCH), "int")
    if hint.kind == "str":
        return ConstantGuess(repr(hint.keys[0]) if hint.keys else "'x'", "str")
    if hint.kind == "bool":
        return ConstantGuess("False", "bool")
    return _named(hint, name)


def _of_one(hint: Hint) -> DictGuess:
    """What there is of one thing of a batch, by the keys that are read: the boxes of an image, and their labels."""
    return DictGuess(tuple((key, of_one_image(key)) for key in hint.keys))


def _parts(hint: Hint, number: int) -> Guess:
    """An item of a tuple, which is a tuple itself where it is unpacked at once."""
    count = hint.parts[number] if number < len(hint.parts) else 0
    return SequenceGuess((tensor(4),) * count, "tuple") if count else tensor(4)


def _named(hint: Hint, name: str) -> TensorGuess:
    """The tensor that the name and the use in the body suggest."""
    return named_tensor(name, hint.rank, hint.at_least, hint.axes, hint.kind == "index", hint.counts)


def from_annotation(annotation: Any, hint: Hint, name: str, own: Mapping[str, Any]) -> Guess | None:
    """The guess that a type asks for, None for a type that says nothing here. `own` has the module's names."""
    if isinstance(annotation, str):
        return None
    shaped = annotated.shaped(annotation)
    dims = shaped[0].closed() if shaped is not None else None
    if shaped is not None and dims is not None:
        dtype = shaped[1] or _named(hint, name).dtype
        return shape_text.tensor(shaped[0], dtype, default_sizes(len(dims)), {})
    if isinstance(annotation, type) and issubclass(annotation, torch.Tensor):
        return _named(hint, name)
    spelled = getattr(annotation, "__name__", "")
    if spelled in _TENSOR_TYPES:
        rank = hint.rank or max(hint.at_least, 2)
        return replace(tensor(rank, _TENSOR_TYPES[spelled]), axes=hint.axes)
    if isinstance(annotation, type) and annotation in _CONSTANTS:
        return ConstantGuess(*_CONSTANTS[annotation])
    return _container(annotation, hint, name, own)


_CONSTANTS = {
    int: ("2", "int"),
    float: ("0.5", "float"),
    bool: ("False", "bool"),
    str: ("'x'", "str"),
    type(None): ("None", "None"),
}


def _container(annotation: Any, hint: Hint, name: str, own: Mapping[str, Any]) -> Guess | None:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return from_annotation(arguments[0], hint, name, own)
    if origin is typing.Literal:
        return values.from_value(arguments[0])
    if origin is typing.Union or type(annotation).__name__ == "UnionType":
        inner = [item for item in arguments if item is not type(None)]
        return from_annotation(inner[0], hint, name, own) if inner else ConstantGuess("None", "None")
    if origin in (list, typing.Sequence) or str(origin).endswith((".Sequence'>", ".Iterable'>")):
        one = hint.item or Hint()
        element = from_annotation(arguments[0], one, name, own) if arguments else tensor(4)
        if isinstance(element, DictGuess) and one.keys:
            element = _of_one(one)
        return None if element is None else SequenceGuess((element,) * max(2, hint.length or 0), "list")
    if annotation is list and not (hint.item and hint.item.keys):
        return SequenceGuess((tensor(4),) * max(2, hint.length or 0), "list")
    if origin is tuple or annotation is tuple:
        return _tuple(arguments, hint, name, own)
    if origin is dict or annotation is dict or str(origin).endswith("Mapping'>"):
        element = from_annotation(arguments[1], Hint(), name, own) if len(arguments) == 2 else tensor(4)
        return None if element is None else DictGuess(tuple((key, element) for key in hint.keys or (NO_KEY,)))
    if str(origin).endswith(".Callable'>"):
        return values.FUNCTION
    return records.of_type(annotation, own, lambda kind, field: _field(kind, field, own))


def _field(annotation: Any, name: str, own: Mapping[str, Any]) -> Guess | None:
    """The guess for a field of a record: one without a type that says something is a tensor."""
    return from_annotation(annotation, Hint(), name, own) or named_tensor(name)


def _tuple(arguments: tuple[Any, ...], hint: Hint, name: str, own: Mapping[str, Any]) -> Guess | None:
    if not arguments or (len(arguments) == 2 and arguments[1] is ...):
        element = from_annotation(arguments[0], Hint(), name, own) if arguments else tensor(4)
        return None if element is None else SequenceGuess((element,) * max(2, hint.length or 0), "tuple")
    items = [from_annotation(item, Hint(), name, own) for item in arguments]
    return (
        None
        if any(item is None for item in items)
        else SequenceGuess(tuple(item for item in items if item is not None), "tuple")
    )
