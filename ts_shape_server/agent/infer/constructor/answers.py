"""Unknown constructor arguments that answer whatever the constructor asks of them, and note what that was.

One build with such answers shows the whole of a config object: its attributes, keys and parts, which of them are
numbers, lists, names or callables. What was noted becomes an expression, with which the class is then built in earnest.
Knows nothing of inputs.
"""

from __future__ import annotations

import builtins
import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ts_shape_server.agent.infer.guesses.portable import SIMPLE_NAMESPACE

LENGTH = 4
"""How many items an answer has that is taken for a list, until the code says otherwise."""
DEPTH = 2
"""A list of lists is the most that an answer is taken for."""
MAXIMUM = 400
_SIZED = re.compile(r"(planes|channels|features|filters|width|dim|size)s?$")
"""What the name of an argument that is a size ends with."""
_TEXT_METHODS = frozenset({"lower", "upper", "strip", "split", "startswith", "endswith", "replace", "format", "title"})
_MAPPING_METHODS = frozenset({"get", "keys", "values", "items", "pop", "setdefault", "update", "copy"})


@dataclass
class Note:
    """What was asked of one unknown value. `guess` is what its name suggests, `untouched` what it is if nothing was.

    A `flag` was asked whether it is true, and its name says nothing of a number. One that is `sized` is called like
    a number of channels or features, and is never taken for a flag.
    """

    name: str
    guess: str
    untouched: str | None = None
    depth: int = 0
    attributes: dict[str, Note] = field(default_factory=dict)
    keys: dict[str, Note] = field(default_factory=dict)
    items: dict[int, Note] = field(default_factory=dict)
    length: int | None = None
    texts: list[str] = field(default_factory=list)
    called: bool = False
    flag: bool = False
    sized: bool = False

    def expression(self) -> str:
        """A Python expression for a value that can do what was asked."""
        if self.called or (self.attributes and self._is_class()):
            return self.guess
        if self.flag and not (self.attributes or self.keys or self.items or self.texts):
            return "False"
        if self.attributes or self.keys:
            return self._container()
        if self.items or self.length is not None:  # it was taken for a list
            length = max([LENGTH if self.length is None else self.length, *(index + 1 for index in self.items)])
            parts = [self.items[index].expression() if index in self.items else "" for index in range(length)]
            known = next((part for part in parts if part), self.guess)
            return f"[{', '.join(part or known for part in parts)}]"
        return repr(self.texts[0]) if self.texts else self.untouched or self.guess

    def _is_class(self) -> bool:
        return self.guess.isidentifier() and not self.guess.isdigit() and self.guess not in ("True", "False", "None")

    def _container(self) -> str:
        attributes = ", ".join(f"{name}={note.expression()}" for name, note in self.attributes.items())
        if not self.keys:
            return f"{SIMPLE_NAMESPACE}{attributes})"
        entries = ", ".join(f"{key!r}: {note.expression()}" for key, note in {**self.attributes, **self.keys}.items())
        if not self.attributes:
            return "{" + entries + "}"
        return "type('Config', (dict,), {'__getattr__': dict.__getitem__})({" + entries + "})"


class _Answers:
    """What an answer does beyond being a number. Mixed into `int` and `float`; `Recorder.value` sets the state."""

    _note: Note
    _recorder: Recorder

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in _TEXT_METHODS:
            self._note.texts.append("relu")
            return getattr("relu", name)
        if name in _MAPPING_METHODS:
            return _Mapping(self._note, self._recorder).method(name)
        return self._recorder.answer(self._note.attributes, name, name)

    def __getitem__(self, key: Any) -> Any:
        note, recorder = self._note, self._recorder
        if isinstance(key, str):
            return recorder.answer(note.keys, key, key)
        length = LENGTH if note.length is None else note.length
        if isinstance(key, slice):
            note.length = length
            return [self[index] for index in range(*key.indices(length))]
        index = int(key)
        if index < 0:
            note.length = length
            index += length
        if index >= length or index < 0:
            note.length = length
            raise IndexError("list index out of range")
        return recorder.answer(note.items, index, note.name, note.depth + 1)

    def __len__(self) -> int:
        if self._note.length is None:
            self._note.length = LENGTH
        return self._note.length

    def __contains__(self, item: Any) -> bool:
        return False

    def __bool__(self) -> bool:
        note = self._note
        if (
            not note.sized
            and self._recorder.says_nothing(note.name)
            and not (note.attributes or note.keys or note.items)
        ):
            # What is left out where it is false asks for less: a file of weights, a layer more.
            note.flag = True
            return False
        return bool(self._number())

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        self._note.called = True
        self._note.guess = self._recorder.callable_for(self._note)
        return self._recorder.evaluate(self._note.guess)(*arguments, **keywords)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            self._note.texts.append(other)
            return self._note.texts[0] == other
        return bool(self._number() == other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._number())

    def _number(self) -> Any:
        return int(self) if isinstance(self, int) else float(self)


class IntegerAnswer(_Answers, int):
    """An unknown value that is an integer first."""


class FloatAnswer(_Answers, float):
    """An unknown value that is a real number first."""


class _Mapping:
    """The methods of a dict, for an answer that is taken for one."""

    def __init__(self, note: Note, recorder: Recorder) -> None:
        self._note = note
        self._recorder = recorder

    def method(self, name: str) -> Callable[..., Any]:
        methods: dict[str, Callable[..., Any]] = {
            "get": self._get,
            "pop": self._get,
            "setdefault": self._get,
            "keys": lambda: list(self._note.keys),
            "values": lambda: [self._get(key) for key in self._note.keys],
            "items": lambda: [(key, self._get(key)) for key in self._note.keys],
            "update": lambda *arguments, **keywords: None,
            "copy": lambda: self,
        }
        return methods[name]

    def __getitem__(self, key: str) -> Any:
        return self._get(key)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.method(name) if name in _MAPPING_METHODS else self._get(name)

    def _get(self, key: str, *default: Any) -> Any:
        if default:
            return default[0]
        return self._recorder.answer(self._note.keys, key, key)


class Recorder:
    """Hands out answers. `guess` gives an expression for a name, `class_with` one for a class with such attributes."""

    def __init__(
        self,
        guess: Callable[[str], str],
        class_with: Callable[[set[str]], str | None],
        named_callable: Callable[[str], str],
        evaluate: Callable[[str], Any],
    ) -> None:
        self.evaluate = evaluate
        self._guess = guess
        self._class_with = class_with
        self._named_callable = named_callable
        self._count = 0
        self._numbers: dict[str, float] = {}

    def says_nothing(self, name: str) -> bool:
        """Whether a name suggests no more than some size."""
        return self._guess(name) == self._guess("")

    def answer(self, notes: MutableMapping[Any, Note], key: Any, name: str, depth: int = 0) -> Any:
        """The answer under `key`, made when it is asked for the first time. `depth` counts the lists around it."""
        note = notes.get(key)
        if note is None:
            self._count += 1
            if self._count > MAXIMUM:
                raise RecursionError("too much was asked of an unknown value")
            note = notes[key] = Note(name, self._guess(name), depth=depth)
        return self.value(note) if depth < DEPTH else self._plain(note)

    def _plain(self, note: Note) -> Any:
        """A number that answers nothing, below lists of lists."""
        known = self._known(note.guess)
        return known if isinstance(known, (int, float)) else 1

    def _known(self, guess: str) -> Any:
        """The value of a guess; 1 where it has none. A loop asks for the same number thousands of times."""
        if guess not in self._numbers:
            try:
                value = self.evaluate(guess)
            except Exception:
                value = 1
            if not isinstance(value, (int, float)):
                return value
            self._numbers[guess] = value
        return self._numbers[guess]

    def value(self, note: Note) -> Any:
        """What stands for the note in a run."""
        known = self._known(note.guess)
        if isinstance(known, (bool, int)):
            made: Any = IntegerAnswer(known)
        elif isinstance(known, float):
            made = FloatAnswer(known)
        elif isinstance(known, (list, tuple)) and known and isinstance(known[0], int):
            made = IntegerAnswer(known[0])
            for index, item in enumerate(known):
                note.items.setdefault(index, Note(note.name, repr(item)))
            note.length = len(known)
        else:
            return known
        made._note, made._recorder = note, self
        return made

    def settle(self, note: Note) -> None:
        """Take a value for a class of the file where it was asked for what that class has, and nothing else was met."""
        own = {name for name in note.attributes if not hasattr(nn.Module, name)}
        found = self._class_with(own) if own and not (note.called or note.keys or note.items) else None
        if found is not None:
            note.guess, note.called = found, True

    def callable_for(self, note: Note) -> str:
        """An expression for what is called: a class of the file with the attributes that were asked, or by name."""
        found = self._class_with(set(note.attributes)) if note.attributes or "block" in note.name.lower() else None
        return found or self._named_callable(note.name.lower())


@contextlib.contextmanager
def polite(namespace: MutableMapping[str, Any]) -> Iterator[None]:
    """In that module, `getattr` with a default and `hasattr` take answers for objects that lack the attribute."""
    before = {name: namespace[name] for name in ("getattr", "hasattr") if name in namespace}

    def asked(value: Any, name: str, *default: Any) -> Any:
        if default and isinstance(value, _Answers) and name not in value._note.attributes:
            return default[0]
        return builtins.getattr(value, name, *default)

    def has(value: Any, name: str) -> bool:
        if isinstance(value, _Answers):
            return name in value._note.attributes
        return builtins.hasattr(value, name)

    namespace.update({"getattr": asked, "hasattr": has})
    try:
        yield
    finally:
        for name in ("getattr", "hasattr"):
            namespace.pop(name, None)
        namespace.update(before)


def recorded(
    build: Callable[[Mapping[str, str], Mapping[str, Any]], Any],
    plan: Mapping[str, str],
    unknown: Mapping[str, str],
    recorder: Recorder,
    namespace: MutableMapping[str, Any],
) -> dict[str, str] | None:
    """`plan` with expressions for `unknown` (parameters, and numbers to begin with) that answer what one build asks.

    None if nothing was asked that the guesses could not answer.
    """
    notes = {
        name: Note(name, guess, plan[name], sized=_SIZED.search(name) is not None) for name, guess in unknown.items()
    }
    local = {f"_answer_{name}": recorder.value(note) for name, note in notes.items()}
    try:
        with polite(namespace):
            build({**plan, **{name: f"_answer_{name}" for name in notes}}, local)
    except Exception:
        # What was asked before the failure is known all the same.
        pass
    for note in notes.values():
        recorder.settle(note)
    found = {**plan, **{name: note.expression() for name, note in notes.items()}}
    return None if found == dict(plan) else found
