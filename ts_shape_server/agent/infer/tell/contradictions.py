"""What the workspace says of a class and a run denies: calls, loaders, annotations, docstrings, comments, pragmas.

Each becomes a finding at its place, in a sentence that names both sides. A call is only held against its author where
it is certain: reached whatever the values, on an object that is as its own construction made it.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ts_shape_server.agent import shares, torch_says
from ts_shape_server.agent.clock import TimeLimit, time_limit
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.facts import source
from ts_shape_server.agent.infer.facts.evidence import Drawn, Refused
from ts_shape_server.agent.infer.guesses import shape_text, values
from ts_shape_server.agent.infer.inputs import points
from ts_shape_server.agent.infer.inputs.points import Said
from ts_shape_server.agent.infer.running import mismatch
from ts_shape_server.agent.infer.running.session import Session
from ts_shape_server.agent.infer.solve import Solved
from ts_shape_server.agent.infer.tell import denials
from ts_shape_server.contract.places import Location, Range
from ts_shape_server.contract.report import Disagreement, Failure, Report, Symbol, ValueSpec, failure

MAXIMUM = 6

Place = tuple[int, int, int, int]


@dataclass(frozen=True)
class Contradiction:
    """One side says `said` (words that end a sentence's first half), `inputs` is what it would have go in.

    `error` is what the run said to it, None where another statement of the author's denies it: `why` then has words.
    """

    said: str
    path: str
    place: Place | None
    inputs: values.Inputs = ()
    error: BaseException | None = None
    why: str = ""
    code: str = "call-mismatch"
    denied: denials.Denial | None = None
    """How a run refuses what is passed."""
    parameter: str = ""
    """The one whose shape is written down, where `said` is about one."""
    given: str = ""
    """The sizes that are passed, or written down, as they are spelled."""
    inside: str = ""
    """The file of the class."""


def of(solved: Solved) -> tuple[Contradiction, ...]:
    """Calls that cannot be meant as they stand, and what the find leaves open."""
    case = solved.case
    return (*_of_refused_values(case.init.refused), *_of_refused(case.refused), *_of_find(solved))


def _of_find(solved: Solved) -> tuple[Contradiction, ...]:
    """What the find, from the start that was used, denies."""
    case, every = solved.case, list[Contradiction]()
    try:
        with time_limit(shares.CONTRADICTIONS.of(case.context.remaining())):
            every += _of_calls(solved)
            every += _of_words(solved.session, solved.found.inputs, case.said, case.context, _lines(case.cls))
    except TimeLimit:
        pass
    return tuple(every[:MAXIMUM])


def _of_calls(solved: Solved) -> Iterator[Contradiction]:
    """Calls that are certain, of objects made as they say: what another instance takes says nothing of them."""
    session, used, said, plan = solved.session, solved.used, solved.case.said, solved.plan
    seen: set[values.Inputs] = set()
    for start in solved.starts:
        drawn = start.drawn
        if drawn is None or drawn.inputs is None or not drawn.certain or start.inputs in seen:
            continue
        seen.add(start.inputs)
        given = _given(tuple(drawn.inputs.values()))
        passed = f"{_subject(drawn)} {given}"
        denied = (points.disagreement(name, item.guess, said) for name, item in drawn.inputs.items())
        formal = next(((name, item) for name, item in zip(drawn.inputs, denied) if item is not None), None)
        if formal is not None:
            name, (kind, shape) = formal
            why = f"the {kind} of `{name}` says {shape_text.spelled(shape)}"
            yield Contradiction(passed, drawn.path, place_of(drawn), start.inputs, None, why, given=given)
        elif start is not used or denials.are_changed(start.inputs, solved.found.inputs):
            own = dict(drawn.init or {})
            other = any(plan.get(name) != text for name, text in own.items()) or bool(set(plan) - set(own))
            made, integers = own if other else None, drawn.integers
            denied_by = denials.of(session, made, start.inputs, integers, solved.found.inputs, solved.case.context)
            if denied_by is not None:
                why = _why(denied_by, other)
                yield Contradiction(
                    passed, drawn.path, place_of(drawn), start.inputs, denied_by.error, why, denied=denied_by,
                    given=given, inside=solved.case.context.path,
                )  # fmt: skip


def _why(denied: denials.Denial, other: bool) -> str:
    """What is wrong with what is passed, where the sizes alone do not show it. `other`: the module that is called was
    made with other arguments than the one that is told of.
    """
    if denied.flat is not None:
        return _reshape(denied.flat)
    if denied.remedy and denied.wrong is not None and denied.wrong.layer:
        return f"{_refuses(denied)}: {denied.remedy}"
    if denied.outside is not None:
        name, number, (low, high) = denied.outside
        return f"`{name}` takes values from {low} to {high}, and {number} is among them"
    return f"the module that is called refuses it ({torch_says.one_line(denied.error)})" if other else ""


def _refuses(denied: denials.Denial) -> str:
    """The layer that refuses, and the two sizes."""
    if denied.wrong is None or not denied.layer:
        return ""
    return f"{denied.layer} takes {denied.wrong.wanted} features or channels, and gets {denied.wrong.got}"


def _reshape(flat: mismatch.MissingReshape) -> str:
    """What is missing between a layer that gives rows and one that takes items with channels and sides."""
    rows, features = flat.got
    product, sizes = " x ".join(map(str, flat.sizes)), ", ".join(map(str, flat.sizes))
    return (
        f"`{flat.layer}` takes items of {flat.sizes[0]} channels, and gets ({rows}, {features}) from "
        f"`{flat.producer}`: {features} is {product}, so `.view(-1, {sizes})` is missing between them"
    )


def _subject(drawn: Drawn) -> str:
    return "the items of this loader are" if drawn.kind == "loader" else "what is passed here is"


def _of_words(
    session: Session, found: values.Inputs, said: Said, context: Context, lines: range
) -> Iterator[Contradiction]:
    """Written shapes, and pragmas, that the module refuses."""
    for position, item in enumerate(found):
        written, pinned = said.written.get(item.name), said.shapes.get(item.name)
        shape = pinned if pinned is not None else (None if written is None else written.shape)
        guess = _one(item.guess)
        if shape is None or guess is None or shape_text.fits(shape, guess.dims):
            continue
        error = _refusal(session, found, position, guess, shape)
        if error is None:
            continue
        spelled = shape_text.spelled(shape)
        if pinned is not None:
            path, line, code = context.path, _pragma_line(context.source, item.name, lines), "bad-pragma"
            text = f"the pragma says that `{item.name}` is {spelled}"
        else:
            assert written is not None
            path, line, code = written.path, written.line, "description-mismatch"
            text = f"the {written.source} says that `{item.name}` is {spelled}"
        place = _line_place(path, line, context)
        yield Contradiction(text, path, place, found, error, code=code, parameter=item.name, given=spelled)


def _lines(cls: type) -> range:
    """The lines of a class, all of them where its source is not known."""
    try:
        lines, start = source.class_lines(cls)
    except (OSError, TypeError):
        return range(1, 1_000_000)
    return range(start, start + len(lines))


def _one(guess: values.Guess) -> values.TensorGuess | None:
    """The tensor of a guess, or the first of a list of them."""
    if isinstance(guess, values.SequenceGuess) and guess.kind == "list" and guess.items:
        guess = guess.items[0]
    return guess if isinstance(guess, values.TensorGuess) else None


def _refusal(
    session: Session, found: values.Inputs, position: int, guess: values.TensorGuess, shape: shape_text.WrittenShape
) -> BaseException | None:
    """What the module says to the shape in the place of what was found; None if it takes it."""
    dims = shape.closed()
    if dims is None:
        return None
    names = {name: size for name, size in zip(guess.axes, guess.dims) if name}
    if len(dims) == len(guess.dims):
        sizes = [dim if isinstance(dim, int) else size for dim, size in zip(dims, guess.dims)]
    else:
        sizes = [
            dim if isinstance(dim, int) else names.get(str(dim), 2 if not axis else 16) for axis, dim in enumerate(dims)
        ]
    other = replace(guess, dims=tuple(sizes), axes=())
    changed = list(found)
    whole = changed[position].guess
    if isinstance(whole, values.SequenceGuess):
        changed[position] = replace(changed[position], guess=replace(whole, items=(other,) * len(whole.items)))
    else:
        changed[position] = replace(changed[position], guess=other)
    error = session.concrete(tuple(changed)).error
    return error if isinstance(error, denials.ERRORS) else None


def _of_refused(refused: Sequence[Refused]) -> Iterator[Contradiction]:
    """Calls that do not fit the signature."""
    for item in refused[:2]:
        called = "the constructor" if item.target == "__init__" else "`forward`"
        text = str(item.error)
        why = f"{called} does not take these arguments ({text})"
        place = _line_place(item.path, item.line, None)
        yield Contradiction("", item.path, item.span or place, (), item.error, why)


def _of_refused_values(refused: Sequence[tuple[Drawn, Exception]]) -> Iterator[Contradiction]:
    """Calls whose values the constructor refuses, where those of another call build."""
    for item, error in refused:
        why = f"the constructor refuses these values ({torch_says.one_line(error)})"
        yield Contradiction("", item.path, place_of(item), (), error, why)


def to_failure(name: str, item: Contradiction, report: Report) -> Failure:
    """The diagnostic: what is said here, and what the class takes as the report has it."""
    detail = "" if item.error is None else torch_says.one_line(item.error)
    why = item.why.rstrip(". ")
    if not item.said:
        message = f"`{name}`: {why}."
    elif item.why:
        message = f"{item.said[:1].upper()}{item.said[1:]}, but {why}."
    else:
        message = f"`{name}` takes {_takes(report)}, but {item.said}{_difference(item, report)}."
    kind = "shape-denied" if item.given else "arguments-refused"
    facts = {"class": name, "parameter": item.parameter, "given": item.given[:200]}
    wrong = item.denied.wrong if item.denied is not None else None
    told = failure(item.code, message, item.path, item.place, detail, _inside(item), kind=kind, facts=facts)
    if item.denied is not None and item.denied.remedy:
        # It is what arrives that is to be changed, no size of the layer.
        return told
    if wrong is not None and wrong.layer:
        return replace(told, sizes=wrong.sizes())
    pair = mismatch.sizes_that_disagree(item.error) if item.error is not None else None
    return told if pair is None else replace(told, sizes=Disagreement(*pair))


def _takes(report: Report) -> str:
    needed = [spec for spec in report.inputs if not spec.optional]
    return ", ".join(f"`{spec.name}` {_spec(spec.value)}" for spec in needed) or "other values"


def _spec(spec: ValueSpec) -> str:
    if spec.dims is not None:
        dims = [str(dim) for dim in spec.dims]
        dtype = spec.dtype or "float32"
        return f"({', '.join(dims)}{',' if len(dims) == 1 else ''})" + ("" if dtype == "float32" else f" {dtype}")
    inside = [_spec(item) for item in spec.items]
    return f"{spec.type.split('[')[0]}[{', '.join(inside)}]" if inside else spec.type


def _difference(item: Contradiction, report: Report) -> str:
    """Which dim it is and which layer refuses it, or torch's own words where neither is known."""
    dim, size = _dim(item, report)
    refuses = "" if item.parameter or item.denied is None else _refuses(item.denied)
    if dim and refuses and item.denied is not None and item.denied.wrong is not None:
        return f": {dim}" if item.denied.wrong.got == size else f": {dim}; {refuses}"
    if dim or refuses:
        return f": {dim or refuses}"
    return "" if item.parameter or item.error is None else f" ({torch_says.clause(item.error)})"


def _dim(item: Contradiction, report: Report) -> tuple[str, int]:
    """The first dim that is none of the claim, and its size; empty where no single one is."""
    specs = {spec.name: spec.value for spec in report.inputs}
    for given in item.inputs:
        spec = specs.get(given.name)
        if item.parameter or spec is None or spec.dims is None or not isinstance(given.guess, values.TensorGuess):
            continue
        dims, sizes = spec.dims, given.guess.dims
        if len(dims) != len(sizes) and dims and sizes and isinstance(dims[-1], int) and dims[-1] != sizes[-1]:
            return f"the last dim of `{given.name}` has to be {dims[-1]}, and is {sizes[-1]}", sizes[-1]
        if len(dims) != len(sizes) and not _is_of_ranks(item.error):
            # Another number of dims may be taken too: it is the sizes that do not fit.
            return "", 0
        if len(dims) != len(sizes):
            return f"`{given.name}` has to have {_count(len(dims), 'dim')}, and has {len(sizes)}", 0
        for axis, (dim, size) in enumerate(zip(dims, sizes)):
            if isinstance(dim, int) and dim != size and not axis and len(dims) > 1:
                # The number of rows is no size of the class's: that it is fixed is an accident of what it is put to.
                return "", 0
            if isinstance(dim, int) and dim != size:
                return f"dim {axis} of `{given.name}` has to be {dim}, and is {size}", size
            limit = _limit(dict(report.symbols).get(dim), size) if isinstance(dim, str) else ""
            if limit:
                return f"`{dim}` (dim {axis} of `{given.name}`) has to be {limit}, and is {size}", size
        if spec.dtype != given.guess.dtype:
            return f"`{given.name}` has to be {spec.dtype}, and is {given.guess.dtype}", 0
    return "", 0


def _is_of_ranks(error: BaseException | None) -> bool:
    return error is not None and any(kind in torch_says.read(error) for kind in mismatch.RANK_KINDS)


def _inside(item: Contradiction) -> tuple[Location, ...]:
    """Where the class refuses it."""
    if item.denied is None or item.denied.place is None:
        return ()
    said = _refuses(item.denied) or torch_says.clause(item.denied.error)
    return (Location(item.inside, Range(*item.denied.place), f"{said}."),)


def _limit(symbol: Symbol | None, size: int) -> str:
    """What a size misses of the limits that are known of its symbol; empty where it keeps them."""
    if symbol is None:
        return ""
    if size < symbol.minimum:
        return f"{symbol.minimum} at least"
    if symbol.maximum is not None and size > symbol.maximum:
        return f"{symbol.maximum} at most"
    return f"a multiple of {symbol.multiple_of}" if size % symbol.multiple_of else ""


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _given(inputs: values.Inputs) -> str:
    return ", ".join(_form(item.guess) for item in inputs) or "nothing"


def _form(guess: values.Guess) -> str:
    if isinstance(guess, values.TensorGuess):
        dims = f"({', '.join(map(str, guess.dims))}{',' if len(guess.dims) == 1 else ''})"
        return dims if guess.dtype == "float32" else f"{dims} {guess.dtype}"
    if isinstance(guess, values.SequenceGuess):
        opening, closing = "[]" if guess.kind == "list" else "()"
        return opening + ", ".join(map(_form, guess.items[:4])) + closing
    if isinstance(guess, values.ConstantGuess):
        return guess.expression
    return "{" + ", ".join(f"{key}: {_form(item)}" for key, item in guess.items) + "}"


def place_of(drawn: Drawn) -> Place | None:
    """Where a call stands, the loop over a loader included."""
    return drawn.span or _line_place(drawn.path, drawn.line, None)


def _line_place(path: str, line: int, context: Context | None) -> Place | None:
    """The text of a line."""
    if context is not None and path == context.path:
        lines = context.source.splitlines()
        text = lines[line - 1] if 0 < line <= len(lines) else ""
    else:
        text = linecache.getline(path, line).rstrip("\n")
    if not line:
        return None
    return line, len(text) - len(text.lstrip()), line, len(text.rstrip())


def _pragma_line(text: str, name: str, lines: range) -> int:
    """The line of the comment that pins a parameter of the class at these lines, 1 if it is not to be found."""
    pattern = re.compile(rf"#\s*ts-shape:\s*\*{{0,2}}{re.escape(name)}\s*=")
    found = [number for number, line in enumerate(text.splitlines(), 1) if pattern.search(line)]
    above = [number for number in found if number < lines.start]
    return next((number for number in found if number in lines), above[-1] if above else 1)
