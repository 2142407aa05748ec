"""Sympy expressions of torch's guards as plain text and as fast Python functions.

Torch states dims with functions of its own (`FloorDiv`, `Mod`, `CleanDiv`, …). Here they become the contract's spelling
(``16*(H//2)*(W//2) == 3136``) and closures that evaluate in a microsecond. Knows sympy, and neither torch's
symbolic machinery nor the search.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy

_COMPARISONS = {
    "Equality": "==",
    "Unequality": "!=",
    "StrictLessThan": "<",
    "LessThan": "<=",
    "StrictGreaterThan": ">",
    "GreaterThan": ">=",
}
_SUM, _PRODUCT, _UNARY, _ATOM = 1, 2, 3, 4


class Untranslatable(ValueError):
    """The expression uses a function that has no spelling in the contract."""


def text(expression: Any, names: Mapping[str, str] | None = None) -> str:
    """The contract's spelling of `expression`, symbols renamed by `names`. Raises Untranslatable."""
    return _print(sympy.sympify(expression), names or {})[0]


def compiled(expression: Any, symbols: Sequence[str]) -> Callable[..., Any]:
    """A function of the symbols' values, in that order. Raises Untranslatable."""
    source = f"lambda {', '.join(symbols)}: {text(expression)}"
    return eval(source, {"__builtins__": {}, "max": max, "min": min, "ceil": math.ceil, "floor": math.floor})  # type: ignore[no-any-return]


def balanced(expression: Any) -> Any:
    """A comparison with its plain numbers on the right: ``a + 1 <= 197`` as ``a <= 196``."""
    if type(expression).__name__ not in _COMPARISONS:
        return expression
    left, right = expression.args
    if not (right.is_Integer and left.is_Add):
        return expression
    number, rest = left.as_coeff_Add()
    return expression.func(rest, right - number) if number.is_Integer and number else expression


def value_at(size: Any) -> Callable[[Sequence[int]], int | None]:
    """A function from sizes to what an expression over ``s0`` … is there; None where that cannot be told."""
    if isinstance(size, int):
        return lambda sizes: size
    slots = sorted(int(name[1:]) for name in symbol_names(size))
    try:
        evaluate = compiled(size, [f"s{slot}" for slot in slots])
    except (Untranslatable, SyntaxError, TypeError, RecursionError):
        return lambda sizes: None

    def value(sizes: Sequence[int]) -> int | None:
        try:
            return int(evaluate(*(sizes[slot] for slot in slots)))
        except (TypeError, ZeroDivisionError, OverflowError):
            return None

    return value


def symbol_names(expression: Any) -> frozenset[str]:
    """The names of the free symbols."""
    return frozenset(str(symbol) for symbol in getattr(expression, "free_symbols", ()))


def numbers(expression: Any) -> list[int]:
    """The integers that the expression names, their signs left out."""
    return sorted({abs(int(number)) for number in expression.atoms(sympy.Integer)})


def largest_number(expression: Any) -> int:
    """The largest integer that the expression names, its sign left out; 0 where it names none."""
    return max((abs(int(number)) for number in expression.atoms(sympy.Integer)), default=0)


def _print(node: Any, names: Mapping[str, str]) -> tuple[str, int]:
    """Text and binding strength of `node`."""
    kind = type(node).__name__
    if node.is_Symbol:
        return names.get(str(node), str(node)), _ATOM
    if node.is_Integer:
        return str(int(node)), _ATOM if node >= 0 else _UNARY
    if node.is_Boolean and node in (sympy.true, sympy.false):
        return str(bool(node)), _ATOM
    if node.is_Rational or node.is_Float:
        return repr(float(node)), _ATOM if node >= 0 else _UNARY
    if kind in _COMPARISONS:
        left, right = (_wrapped(item, _SUM, names) for item in node.args)
        return f"{left} {_COMPARISONS[kind]} {right}", 0
    if kind in ("And", "Or"):
        return f" {kind.lower()} ".join(_wrapped(item, _SUM, names) for item in node.args), 0
    if kind == "Not":
        return f"not ({_print(node.args[0], names)[0]})", 0
    if node.is_Add:
        return _sum(node, names), _SUM
    if node.is_Mul:
        return _product(node, names), _PRODUCT
    if node.is_Pow:
        return _power(node, names)
    return _function(kind, node, names)


def _wrapped(node: Any, strength: int, names: Mapping[str, str]) -> str:
    printed, own = _print(node, names)
    return f"({printed})" if own < strength else printed


def _sum(node: Any, names: Mapping[str, str]) -> str:
    terms = sorted(node.args, key=lambda term: (term.is_number, str(term)))
    parts: list[str] = []
    for term in terms:
        negative = term.could_extract_minus_sign()
        printed = _wrapped(-term if negative else term, _PRODUCT, names)
        if parts:
            parts.append(f" {'-' if negative else '+'} {printed}")
        else:
            parts.append(f"-{printed}" if negative else printed)
    return "".join(parts)


def _product(node: Any, names: Mapping[str, str]) -> str:
    numerator, denominator = node.as_numer_denom()
    if denominator != 1:
        return f"{_wrapped(numerator, _UNARY, names)}/{_wrapped(denominator, _UNARY, names)}"
    if node.could_extract_minus_sign():
        return f"-{_wrapped(-node, _PRODUCT, names)}"
    factors = sorted(node.args, key=lambda factor: (not factor.is_number, str(factor)))
    return "*".join(_wrapped(factor, _UNARY, names) for factor in factors)


def _power(node: Any, names: Mapping[str, str]) -> tuple[str, int]:
    base, exponent = node.args
    if exponent.is_Integer and 1 < exponent <= 4:
        return "*".join([_wrapped(base, _UNARY, names)] * int(exponent)), _PRODUCT
    raise Untranslatable(str(node))


def _function(kind: str, node: Any, names: Mapping[str, str]) -> tuple[str, int]:
    arguments = node.args
    if kind in ("FloorDiv", "CleanDiv", "PythonFloorDiv") and len(arguments) == 2:
        return f"{_wrapped(arguments[0], _UNARY, names)}//{_wrapped(arguments[1], _UNARY, names)}", _PRODUCT
    if kind in ("Mod", "PythonMod") and len(arguments) == 2:
        return f"{_wrapped(arguments[0], _UNARY, names)} % {_wrapped(arguments[1], _UNARY, names)}", _PRODUCT
    if kind in ("IntTrueDiv", "FloatTrueDiv"):
        return f"{_wrapped(arguments[0], _UNARY, names)}/{_wrapped(arguments[1], _UNARY, names)}", _PRODUCT
    if kind in ("ToFloat", "Identity") and len(arguments) == 1:
        return _print(arguments[0], names)
    if kind in ("CeilToInt", "FloorToInt", "TruncToInt", "ceiling", "floor"):
        return f"{'ceil' if kind.lower().startswith('ceil') else 'floor'}({_print(arguments[0], names)[0]})", _ATOM
    if kind in ("Max", "Min"):
        return f"{kind.lower()}({', '.join(sorted(_print(item, names)[0] for item in arguments))})", _ATOM
    if kind == "PowByNatural" and arguments[1].is_Integer and 1 < arguments[1] <= 4:
        return "*".join([_wrapped(arguments[0], _UNARY, names)] * int(arguments[1])), _PRODUCT
    raise Untranslatable(str(node))
