"""Markdown for what is under the cursor: a class, `forward`, a parameter, a layer, a local variable.

Every function takes what is `Known` of the class and gives text, with a note wherever that text is not about the source
as it stands. Nothing here waits, asks or looks anything up.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence

from ts_shape_server.analysis.modules import ModuleClass, Signature
from ts_shape_server.contract.report import Failure, InputSpec, Layer, Report, ScriptAttempt, ValueSpec
from ts_shape_server.features import words
from ts_shape_server.features.known import Known
from ts_shape_server.probing.requests import Inspection

_MOST_LAYERS = 12
_RUN = re.compile(r"`+")
_BAR, _NO_BAR = "|", "\N{DIVIDES}"
_FENCE = re.compile(r"`{3,}")
_LINES = re.compile(r"\s*[\r\n]\s*")
_ACTIVE = re.compile(r"([\\\[\]<>*_#~!])")


def class_hover(known: Known, declared: ModuleClass | None = None) -> str:
    """The whole class: what goes in and out, the symbols, its size, its state towards TorchScript, the evidence."""
    report = known.report
    if report is None:
        return _page([_code(_declared(known.name, declared)), _note(known)])
    if report.status != "ok":
        return _page([_code(_declared(known.name, declared)), *_failed(report), *_evidence(report), _note(known)])
    lines = words.symbol_lines(report)
    parts = [_code(words.signature(report)), _symbols(lines), _summary(report), *_traps(report)]
    return _page([*parts, *_evidence(report), *_mismatches(report), _note(known)])


def instance_hover(known: Known, call: str, declared: ModuleClass | None = None) -> str:
    """What a call of the class makes: a report of the class with these arguments, or that it is being worked out."""
    if known.report is None:
        return _page([_code(call), "_What goes in and out of it is being worked out: hover again in a moment._"])
    return _page([_code(call), class_hover(known, declared)])


def of_any_instance(known: Known, declared: ModuleClass | None = None) -> str:
    """The class of what a name holds, where it is not known with which arguments that was made."""
    report = known.report
    other = "_This is of the class; the arguments with which this instance was made are not known here._"
    return _page([class_hover(known, declared), other if report is not None and report.init else ""])


def forward_hover(known: Known, declared: ModuleClass | None = None) -> str:
    """`forward` is the class narrowed to its signature and its state."""
    report = known.report
    if report is None or report.status != "ok":
        return class_hover(known, declared)
    text = words.signature(report)
    head = "forward" + text[text.index("(") :]
    return _page([_code(head), _symbols(words.symbol_lines(report)), _state(report), *_traps(report), _note(known)])


def parameter_hover(known: Known, name: str, line: int = 0) -> str | None:
    """One parameter of `forward`: what it takes, from which evidence, and the type TorchScript gives it. In a `line`
    that a loop comes back to with other shapes, those.
    """
    report = known.report
    if report is None:
        return _page([_note(known)])
    spec = next((item for item in report.inputs if item.name == name), None)
    if spec is None and any((item.name, item.line) == (name, line) for item in report.uses):
        return variable_hover(known, name, line, (line,), stored=False)
    if spec is None:
        told = f"There are no shapes of {code(report.name)}: a hover over its name says why."
        return _page([told, _note(known)]) if report.status not in ("ok", "skipped") else None
    here = [item.value for item in report.uses if (item.name, item.line) == (name, line)]
    if any(item.dims != spec.value.dims for item in here if item.dims is not None):
        return variable_hover(known, name, line, (line,), stored=False)
    lines = [_code(words.parameter(spec)), _symbols(_symbols_of(report, spec.value)), _source(spec)]
    return _page([*lines, _typing(report, name), _note(known)])


def layer_hover(
    known: Known, name: str, declared: ModuleClass | None = None, lines: Container[int] = (), called: bool = False
) -> str | None:
    """`self.<name>`: its input and output, its parameters and their share; for a container, its parts; for a method,
    the types that a run saw. None for what is none of these. Where `lines` call it, what these calls gave.
    """
    report = known.report
    if report is None:
        return _page([_note(known)])
    layer = next((item for item in report.layers if item.name == name), None)
    inside = [item for item in report.layers if item.name.startswith(f"{name}.")]
    if layer is not None:
        head = [f"self.{name}: {layer.type} {flow}" for flow in _flows([layer], lines)]
        unseen = called and bool(layer.visits) and not any(visit.line in lines for visit in layer.visits)
        elsewhere = "The run did not come to this line: this is what other calls gave." if unseen else ""
        until = _until_failure(report)
        parts = [elsewhere, _share(report, layer, inside), _parts(inside), until, _note(known)]
        return _page([_code("\n".join(head)), *parts])
    if inside and report.status == "ok":
        tops = _outermost(inside)
        size = f"{words.parameters(sum(item.parameters for item in tops))} in {words.many(len(tops), 'module')}"
        return _page([_code(f"self.{name}"), size, _parts(tops), _note(known)])
    if declared is not None and any(item.name == name for item in declared.methods):
        return _method(known, report, name)
    made = declared is not None and any(item.name == name and item.made for item in declared.layers)
    if not made or not known.fresh or not report.layers:
        return None
    if report.status != "ok":
        # `forward` may call it after the line that fails; the one that fails is told with why.
        wrong = None if report.reason is None else report.reason.sizes
        own = report.reason is not None and wrong is not None and wrong.layer == name
        return _page([_code(f"self.{name}"), failure_text(report.reason)]) if own and report.reason else None
    return _page([f"`forward` did not call `self.{name}`.", _note(known)])


def modules_hover(
    known: Known, name: str, container: str, position: int | None, lines: Container[int] = ()
) -> str | None:
    """A local that a loop takes from the modules of ``self.<container>``: what they are and what their calls gave."""
    report = known.report
    if report is None or report.status != "ok":
        return None
    rest = r"\d+" if position is None else rf"\d+\.{position}"
    found = [item for item in report.layers if re.fullmatch(rf"{re.escape(container)}\.{rest}", item.name)]
    if not found:
        return None
    head = [f"{name}: {kind} {flow}" for kind, flow in _kinds(found, lines)]
    if len(head) > _MOST_LAYERS:
        head = [*head[:_MOST_LAYERS], "…"]
    size = words.parameters(sum(item.parameters for item in found))
    told = f"{words.many(len(found), 'module')} of {code(f'self.{container}')}, {size}"
    return _page([_code("\n".join(head)), told, _note(known)])


def _kinds(layers: Sequence[Layer], lines: Container[int]) -> list[tuple[str, str]]:
    """Type and flow of what these lines call, each once."""
    return list(dict.fromkeys((item.type, flow) for item in layers for flow in _flows([item], lines)))


def _flows(layers: Sequence[Layer], lines: Container[int]) -> list[str]:
    """What the calls in these lines gave; without any there, what all calls gave."""
    visits = [visit for item in layers for visit in item.visits]
    here = [visit for visit in visits if visit.line in lines] or visits
    told = [words.shapes_flow(visit.inputs, visit.outputs) for visit in here]
    return list(dict.fromkeys(told or [words.layer_flow(item) for item in layers]))


def _outermost(layers: Sequence[Layer]) -> list[Layer]:
    """Those that are in none of the others: what a layer counts is counted in the one around it."""
    names = {item.name for item in layers}
    return [item for item in layers if not any(outer in names for outer in _outer(item.name))]


def _outer(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _method(known: Known, report: Report, name: str) -> str | None:
    """``extra(d: Dict[str, Tensor]) → Tensor``, as a run saw it."""
    seen = {
        item.name: item.type
        for item in report.torchscript.annotations
        if item.function == name and item.owner == report.name
    }
    if not seen:
        return None
    result = seen.pop("return", "None")
    given = ", ".join(f"{parameter}: {type_}" for parameter, type_ in seen.items())
    return _page([_code(f"{name}({given}) → {result}"), _note(known)])


def variable_hover(known: Known, name: str, line: int, lines: Container[int], *, stored: bool) -> str | None:
    """A local in `line` of a statement with these `lines`: as the statement leaves it when `stored`, else as it comes
    into it. None where the run did not come to it, or held no tensor in it.
    """
    report = known.report
    if report is None:
        return _page([_note(known)])
    if stored:
        seen = [item.value for item in report.variables if item.name == name and item.line in lines]
    else:
        uses = [item for item in report.uses if item.name == name and item.line in lines]
        seen = [item.value for item in uses if item.line == line] or [item.value for item in uses]
    if not seen:
        return None
    shown = list(dict.fromkeys(words.value(item) for item in seen))
    text = _code("\n".join(f"{name}: {item}" for item in shown))
    visits = f"It differs between visits: {words.many(len(shown), 'shape')}." if len(shown) > 1 else ""
    symbols = [line for item in seen for line in _symbols_of(report, item)]
    return _page([text, visits, _symbols(list(dict.fromkeys(symbols))), _until_failure(report), _note(known)])


def _until_failure(report: Report) -> str:
    """Which input the sizes of a class are of that fails for every one."""
    if report.status == "ok" or not (ran := words.example(report)):
        return ""
    line = "" if report.reason is None or report.reason.location is None else report.reason.location.range.line
    return f"With {plain(ran)} going in: `forward` fails for every input, in line {line}."


def size_hover(known: Known, name: str, tensor: str, line: int, dim: int) -> str | None:
    """A local that is one size of a tensor: which, as the run had it in that line."""
    report = known.report
    if report is None or report.status != "ok":
        return None
    found = [item.value.dims for item in report.uses if (item.name, item.line) == (tensor, line)]
    sizes = {words.dim(dims[dim]) for dims in found if dims is not None and -len(dims) <= dim < len(dims)}
    if len(sizes) != 1:
        return None
    size = sizes.pop()
    text = f"{name}: int" if size == name else f"{name}: int = {size}"
    spec = ValueSpec("Tensor", None, (size,))
    return _page(
        [_code(text), f"Dimension {dim} of {code(tensor)}.", _symbols(_symbols_of(report, spec)), _note(known)]
    )


def saved_file(found: Inspection) -> str:
    """A saved file under its path: what it is, what goes in and what comes out, and where that is known from."""
    parts = [plain(found.message), *[f"_{plain(fact)}_" for fact in found.facts]]
    report = found.report
    if report is None:
        return _page(parts)
    if report.status != "ok":
        return _page([*parts, *_failed(report)])
    lines = words.symbol_lines(report)
    return _page([_code(words.signature(report)), _symbols(lines), *parts, words.SPEC_SOURCES.get(found.source, "")])


def no_saved_file(name: str) -> str:
    """A path that leads to no file, as seen from the source and the folders of the workspace."""
    return f"_There is no file {plain(name)} beside this one or in a folder of the workspace._"


def reading_saved_file(name: str) -> str:
    """While an inspection takes longer than a hover may."""
    return f"_{plain(name)} is being read: hover again in a moment._"


def failure_text(failure: Failure) -> str:
    """The message of a failure with its line."""
    place = f" (line {failure.location.range.line})" if failure.location is not None else ""
    return plain(failure.message) + place


def plain(text: str) -> str:
    """Text that came from elsewhere, such that markdown takes it as text: no images, links, tags or fences.

    Single backticks in pairs stay: messages use them to mark code.
    """
    pieces = _RUN.sub("`", text).split("`")
    if len(pieces) % 2 == 0:
        pieces = ["'".join(pieces)]
    # A blank line, or one that starts a list, would end the code and let the rest of it act.
    return "`".join(
        _LINES.sub(" ", piece) if index % 2 else _ACTIVE.sub(r"\\\1", piece) for index, piece in enumerate(pieces)
    )


def code(text: str) -> str:
    """Text that came from elsewhere as code within a line; nothing for no text."""
    inside = _LINES.sub(" ", text.replace("`", "'")).strip()
    return f"`{inside}`" if inside else ""


def row(*cells: str) -> str:
    """A row of a table, of texts that are markdown already but for the bar, which would end a cell even in code."""
    return f"| {' | '.join(_LINES.sub(' ', cell).replace(_BAR, _NO_BAR) for cell in cells)} |"


def script_state(attempt: ScriptAttempt, word: str) -> str:
    """``script ✓`` where another process has loaded the script and computed the same, ``scripts, 1 trap``, ``script ✗ 2
    reasons``, ``trace ✓ 1 warning``; empty when it was not tried.
    """
    if attempt.ok is None:
        return ""
    number = len(attempt.failures)
    if attempt.ok and word == "trace":
        return f"{word} ✓" + (f" {words.many(number, 'warning')}" if number else "")
    if attempt.ok:
        if number:
            return f"{word}s, {words.many(number, 'trap')}"
        return f"{word} ✓" if attempt.proven else f"{word}s, {words.UNPROVEN.get(attempt.archive, 'not saved')}"
    return f"{word} ✗" + (f" {words.many(number, 'reason')}" if number else "")


def _page(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part)


def _code(text: str) -> str:
    return f"```python\n{_FENCE.sub(lambda run: ' '.join(run[0]), text)}\n```" if text else ""


def _note(known: Known) -> str:
    note = known.note()
    return f"_{plain(note)}_" if note else ""


def _declared(name: str, declared: ModuleClass | None) -> str:
    """What the text alone says: the constructor and `forward` as written."""
    if declared is None:
        return name
    lines = [f"{declared.name}({_written(declared.init)})"]
    if declared.forward is not None:
        result = f" → {declared.forward.returns}" if declared.forward.returns else ""
        lines.append(f"forward({_written(declared.forward)}){result}")
    return "\n".join(lines)


def _written(signature: Signature | None) -> str:
    if signature is None:
        return ""
    stars = {"var_positional": "*", "var_keyword": "**"}
    texts = []
    for item in signature.parameters:
        text = stars.get(item.kind, "") + item.name
        text += f": {item.annotation}" if item.annotation else ""
        texts.append(text + (f" = {item.default}" if item.default is not None else ""))
    return ", ".join(texts)


def _failed(report: Report) -> list[str]:
    heads = {
        "failed": "`forward` fails for every input.",
        "unresolved": "No input was found that `forward` takes.",
        "skipped": "This class is skipped.",
        "timeout": "The probe took too long and was ended.",
        "crashed": "The probe crashed.",
    }
    head = f"**{heads.get(report.status, 'There is no report.')}**"
    if report.reason is None:
        return [head]
    if report.reason.code in ("syntax-error", "import-error", "raises-at-import"):
        head = "**The file cannot be loaded.**"
    related = [f"- {plain(item.message)} (line {item.range.line})" for item in report.reason.related if item.message]
    return [head, failure_text(report.reason), "\n".join(related[:_MOST_LAYERS])]


def _symbols(lines: Sequence[str]) -> str:
    """Ranges first, in one line: ``**B**: any size · **H, W**: 28 or 29``; constraints as code."""
    shown = []
    for line in lines:
        names, found, rest = line.partition(": ")
        shown.append(f"**{plain(names)}**: {plain(rest)}" if found else code(line))
    return " · ".join(shown)


def _symbols_of(report: Report, spec: ValueSpec) -> list[str]:
    """The symbol lines that speak of this value's symbols."""
    names = set(re.findall(r"[^\W\d]\w*", words.value(spec, dtype=False)))
    return [line for line in words.symbol_lines(report) if names & set(re.findall(r"[^\W\d]\w*", line))]


def _summary(report: Report) -> str:
    return " · ".join(item for item in (words.weight(report), _state(report)) if item)


def _state(report: Report) -> str:
    states = (script_state(report.torchscript.script, "script"), script_state(report.torchscript.trace, "trace"))
    return " · ".join(item for item in states if item)


def _traps(report: Report) -> list[str]:
    """What scripting or tracing says against the class, the first few."""
    found = [*report.torchscript.script.failures, *report.torchscript.trace.failures]
    lines = [f"- {failure_text(item)}" for item in found[:4]]
    if len(found) > len(lines):
        lines.append(f"- and {len(found) - len(lines)} more")
    return ["\n".join(lines)] if lines else []


def _evidence(report: Report) -> list[str]:
    lines = []
    if report.init:
        given = ", ".join(f"{name}={argument.expression}" for name, argument in report.init)
        sources = list(dict.fromkeys(argument.source for _, argument in report.init if argument.source))
        origin = f" (from {plain(words.listed(sources))})" if sources else ""
        lines.append(f"Built with {code(given)}{origin}.")
    if ran := words.example(report):
        lines.append(f"Ran with {plain(ran)}{'' if report.status == 'ok' else ' up to the line that fails'}.")
    evidence = [item for item in report.evidence if item and item != "guess"]
    if evidence:
        lines.append(f"Decided by {plain(words.listed(evidence))}.")
    if report.stubbed:
        names = words.listed([code(item) for item in report.stubbed])
        lines.append(f"Stand-ins took the place of {names}, which the interpreter does not have.")
    lines += [plain(item) for item in report.notes[:3]]
    return ["  \n".join(lines)] if lines else []


def _mismatches(report: Report) -> list[str]:
    return [f"**{failure_text(item)}**" for item in report.mismatches[:3]]


def _source(spec: InputSpec) -> str:
    sources = {
        "solved": "Found by solving what the layers ask for.",
        "guess": "A guess that ran: nothing in the workspace says more.",
        "annotation": "Taken from the annotation.",
        "default": "The default value is used.",
        "pragma": "Set by a `# ts-shape:` comment.",
    }
    return sources.get(spec.source, f"Taken from {plain(spec.source)}." if spec.source else "")


def _typing(report: Report, name: str) -> str:
    for item in report.torchscript.annotations:
        if item.function == "forward" and item.name == name and item.owner == report.name:
            if item.needed:
                return f"As it stands TorchScript takes it for something else: it needs {code(item.type)}."
            return f"TorchScript takes it as {code(item.type)}."
    return ""


def _share(report: Report, layer: Layer, inside: Sequence[Layer]) -> str:
    own = layer.parameters or sum(item.parameters for item in _outermost(inside))
    if not own or not report.parameters:
        return words.parameters(own)
    share = 100 * own / report.parameters
    told = f"{share:.0f}" if share >= 10 else f"{share:.1f}" if share >= 0.1 else "less than 0.1"
    return f"{words.parameters(own)}, {told} % of {plain(report.name)}"


def _parts(inside: Sequence[Layer]) -> str:
    rows = [row(code(item.name), plain(item.type), plain(words.layer_flow(item))) for item in inside[:_MOST_LAYERS]]
    if not rows:
        return ""
    more = f"\n\nand {len(inside) - _MOST_LAYERS} more" if len(inside) > _MOST_LAYERS else ""
    return "\n".join(["| layer | type | shapes |", "| --- | --- | --- |", *rows]) + more
