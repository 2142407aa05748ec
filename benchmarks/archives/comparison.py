"""What two reports of one module disagree on; the names of their symbols and inputs apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ts_shape_server.contract.report import Report, Symbol, ValueSpec

_NAME = re.compile(r"[A-Za-z_]\w*")


def difference(archive: Report, source: Report) -> str:
    """The first thing that differs, in words, the archive's side first; empty if the two are equal."""
    for report, side in ((source, "the class"), (archive, "the archive")):
        if report.status != "ok":
            return f"{side} is {report.status}"
    ours, theirs = _Spelled(archive), _Spelled(source)
    for what in ("inputs", "symbols", "constraints", "outputs"):
        left, right = getattr(ours, what), getattr(theirs, what)
        if left != right:
            return f"{what}: {_listed(left)} instead of {_listed(right)}"
    return ""


class _Spelled:
    """A report with its symbols numbered in the order in which the inputs name them."""

    def __init__(self, report: Report) -> None:
        needed = [item.value for item in report.inputs if not item.optional]
        self._numbers: dict[str, str] = {}
        self.inputs = [self._value(value) for value in needed]
        self.symbols = [_range(self._numbers[name], symbol) for name, symbol in self._ordered(dict(report.symbols))]
        self.constraints = sorted(self._text(text) for text in report.constraints)
        self.outputs = [self._value(value) for value in report.outputs]

    def _ordered(self, symbols: Mapping[str, Symbol]) -> Iterator[tuple[str, Symbol]]:
        for name in list(self._numbers):
            if name in symbols:
                yield name, symbols[name]

    def _text(self, text: str) -> str:
        return _NAME.sub(lambda found: self._numbers.setdefault(found[0], f"n{len(self._numbers)}"), text)

    def _value(self, value: ValueSpec) -> str:
        dims = "" if value.dims is None else f"({', '.join(self._text(str(dim)) for dim in value.dims)})"
        items = f"[{', '.join(map(self._value, value.items))}]" if value.items else ""
        return " ".join(part for part in (value.type, dims, value.dtype or "", items) if part)


def _range(name: str, symbol: Symbol) -> str:
    step = f" by {symbol.multiple_of}" if symbol.multiple_of > 1 else ""
    return f"{name} {symbol.minimum}..{'' if symbol.maximum is None else symbol.maximum}{step}"


def _listed(items: Sequence[str]) -> str:
    return "; ".join(items) or "none"
