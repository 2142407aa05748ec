"""Reads shapes as people write them: ``(B, C, H, W)``, ``[batch x seq_len x 512]``, ``:math:`(N, *, H_{in})```.

A dim is a number, a name, an expression in names, or None where the author leaves it open. Prose in brackets is told
from a shape by its words. Knows nothing of parameters and runs nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Union

from ts_shape_server.agent.infer.guesses.values import TensorGuess

Dim = Union[int, str, None]
MAXIMUM_RANK = 8
_BRACKETS = re.compile(r"\(([^()\[\]\n]*(?:\([^()\n]*\)[^()\[\]\n]*)*)\)|\[([^\[\]\n]*)\]")
_PRODUCT = re.compile(r"(?<![\w.])\w+(?:\s*(?:×|\bx\b|\bX\b)\s*[\w/+-]+)+(?![\w.])")
_ANNOUNCED = re.compile(r"(?:shapes?|sizes?|dims?|dimensions?|dimensional)\b[^()\[\].;]{0,25}$", re.IGNORECASE)
_OPEN = frozenset({"_", "?", "-1", ":", "none", "any"})
_REST = frozenset({"...", "…", "*"})
_TYPES = re.compile(
    r"tensor|optional|int|float|bool|str|string|list|tuple|dict|none|array|ndarray|default|torch|np|numpy|longtensor|"
    r"floattensor|booltensor|module|variable|inputs?|outputs?|callable|object|any|true|false|self|of|or|and|the|a|an|is|"
    r"if|for|with|see|it|to|required",
    re.IGNORECASE,
)
"""Words in brackets that make them prose."""
_LETTERS = re.compile(r"(?![ijxyzIJXYZ]\d?$)[A-Za-z]\d?|[A-Z]{1,3}\d?(?:_\w+)?")
_WORDS = re.compile(
    r"(?:\w+_)?(?:batch|batches|batch_?size|bsz?|len|length|lens|lengths|seq|seqs|seq_?len\w*|sequence\w*|times?|"
    r"timesteps?|steps?|frames?|channels?|chans?|chs?|height|width|depth|dims?|size|features?|feats?|hidden\w*|embed\w*|"
    r"emb\w*|tokens?|nodes?|edges?|points?|heads?|class|classes|samples?|patches|instances|objects|queries|keys|views|"
    r"rows|cols|columns|atoms|words?|chars|bins|freqs?|vocab\w*|bands|slices|num|img_\w+|image_\w+|res|rank)"
    r"(?:_\w+)?|(?:num|n|d|dim|in|out|max)_\w+",
    re.IGNORECASE,
)
"""What dims are called. Only where nothing says that a shape follows do names have to be among these."""


@dataclass(frozen=True)
class WrittenShape:
    """The dims as written. `rest` is the place of ``...`` or ``*``, None without: any number of dims stands there."""

    dims: tuple[Dim, ...]
    rest: int | None = None

    def closed(self) -> tuple[Dim, ...] | None:
        """The dims with one for the rest where the rest stands in front; None where the rank remains open."""
        if self.rest is None:
            return self.dims
        return ("B", *self.dims) if self.rest == 0 and self.dims else None


def first(text: str, strong: bool = False) -> WrittenShape | None:
    """The first shape in a text. `strong`: the surroundings say that it speaks of shapes.

    Of forms that are given as alternatives, the one with the most dims: that is the one with a batch.
    """
    found: WrittenShape | None = None
    end = 0
    for start, stop, shape in _shapes(_plain(text), strong):
        if found is not None:
            between = _plain(text)[end:start]
            if not re.search(r"\bor\b|/|\|", between) or len(between) > 60:
                break
            if len(shape.dims) <= len(found.dims):
                continue
        found, end = shape, stop
    return found


def _shapes(text: str, strong: bool) -> Iterator[tuple[int, int, WrittenShape]]:
    matches = [*_BRACKETS.finditer(text), *_PRODUCT.finditer(text)]
    end = 0
    for match in sorted(matches, key=lambda match: match.start()):
        if match.start() < end:
            continue
        announced = strong or bool(_ANNOUNCED.search(text[: match.start()]))
        if match.re is _PRODUCT:
            parts = re.split(r"\s*(?:×|\bx\b|\bX\b)\s*", match.group())
        else:
            inner = match.group(1) if match.group(1) is not None else match.group(2)
            inner = re.sub(r"^\s*(?:shape|size)\s*[:=]\s*", "", inner)
            alone = "," not in inner and not _PRODUCT.fullmatch(inner.strip())
            if not inner.strip() or (alone and not _is_vector(inner.strip(), text[: match.start()])):
                continue
            parts = inner.split(",") if "," in inner else re.split(r"\s*(?:×|\bx\b|\bX\b)\s*", inner.strip())
            if parts and not parts[-1].strip():
                parts.pop()
                announced = True
        shape = of_parts(parts, announced)
        if shape is not None and (len(parts) > 1 or announced):
            end = match.end()
            yield match.start(), match.end(), shape


def _is_vector(inner: str, before: str) -> bool:
    """Whether brackets with one word or number in them are a shape: only right behind the word for it."""
    return bool(re.fullmatch(r"\w+", inner)) and bool(re.search(r"\b(?:shape|of size)\s*[:=]?\s*[`'\"]?$", before))


def of_parts(parts: Sequence[str], strong: bool) -> WrittenShape | None:
    """The shape of dims that have been told apart; None if one of them is none."""
    if not parts or len(parts) > MAXIMUM_RANK:
        return None
    dims: list[Dim] = []
    rest: int | None = None
    for part in parts:
        word = part.strip().strip("`'\" ")
        if word in _REST:
            if rest is not None:
                return None
            rest = len(dims)
            continue
        known, dim = _dim(word, strong)
        if not known:
            return None
        dims.append(dim)
    if not dims or (not strong and not any(isinstance(dim, str) for dim in dims)):
        return None
    return WrittenShape(tuple(dims), rest)


def _dim(word: str, strong: bool) -> tuple[bool, Dim]:
    """Whether a word is a dim, and which."""
    if word.lower() in _OPEN:
        return True, None
    if strong and re.fullmatch(r"_[A-Za-z]\w*", word):
        return True, word
    named = re.fullmatch(r"\w+\s*=\s*(\d+)", word) or re.fullmatch(r"(\d+)\s*(?:\([\w ]+\))?", word)
    if named is not None:
        number = int(named.group(1))
        return 0 < number < 1 << 24, number
    joined = re.sub(r"\s+", "_", re.sub(r"(?<=\w)-(?=[A-Za-z])", "_", word))
    if re.fullmatch(r"[A-Za-z]\w*(?:\.\w+)?'?", joined) and joined.count("_") - word.count("_") <= 2:
        if any(_TYPES.fullmatch(piece) for piece in re.split(r"\s+", word)):
            return False, None
        if strong or _LETTERS.fullmatch(joined) or _WORDS.fullmatch(joined):
            return True, joined.rsplit(".", 1)[-1].rstrip("'")
        return False, None
    return _is_expression(word), word


def _is_expression(word: str) -> bool:
    """Arithmetic over names and whole numbers."""
    try:
        tree = ast.parse(word.replace("^", "**"), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    allowed = (ast.BinOp, ast.Name, ast.Constant, ast.operator, ast.expr_context, ast.Attribute, ast.UnaryOp, ast.USub)
    nodes = list(ast.walk(tree))
    return isinstance(tree, ast.BinOp) and all(
        isinstance(node, allowed) and (not isinstance(node, ast.Constant) or isinstance(node.value, int))
        for node in nodes
    )


def _plain(text: str) -> str:
    """The text without the marks of mathematics and of code."""
    text = re.sub(r":math:|`|\$|\*\*(?=\S)", "", text)
    text = re.sub(r"\\(?:text|mathrm|mathit|texttt)\s*\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"_\{?\\?(?:text|mathrm)?\{?([\w-]+)\}?\}?", lambda match: "_" + match.group(1), text)
    text = text.replace("\\times", "×").replace("\\ast", "*").replace("\\ldots", "...").replace("\\dots", "...")
    return text.replace("\\_", "_").replace("\\", "")


def of_words(text: str) -> WrittenShape | None:
    """The shape of an annotation's text, dims apart by blanks or commas: ``batch *rest 3 h w``, ``(B, 3, H, W)``."""
    text = text.strip()
    if text[:1] in "([" and text[-1:] in ")]":
        text = text[1:-1]
    parts = [part for part in (text.split(",") if "," in text else text.split()) if part.strip()]
    if not parts:
        return WrittenShape(())
    return of_parts([_word(part.strip()) for part in parts], strong=True)


def _word(part: str) -> str:
    """A dim of jaxtyping without its modifiers: ``#`` may broadcast, ``?`` varies, ``_`` is not checked, ``a=3``."""
    if part.startswith(("*", "#*", "...")):
        return "..."
    stripped = part.split("=")[-1].lstrip("#?")
    return stripped.lstrip("_") or "_"


Names = dict[str, int]


def tensor(shape: WrittenShape, dtype: str, sizes: Sequence[int], names: Names) -> TensorGuess | None:
    """The guess for a shape: `sizes` are what a tensor of that rank has first, `names` what names stand for so far."""
    dims = shape.closed()
    if dims is None:
        return None
    made: list[int] = []
    for axis, dim in enumerate(dims):
        if isinstance(dim, int):
            made.append(dim)
        elif dim is None:
            made.append(sizes[axis])
        elif dim.isidentifier():
            made.append(names.setdefault(dim, sizes[axis]))
        else:
            made.append(_evaluated(dim, names) or sizes[axis])
    return TensorGuess(tuple(made), dtype, 0, 1, tuple(_axis(dim) for dim in dims))


def _axis(dim: Dim) -> str | None:
    """The name of a dim that may be of any size, ``_`` where it has none; None for a number."""
    if isinstance(dim, int):
        return None
    return dim if dim is not None and dim.isidentifier() else "_"


def _evaluated(expression: str, names: Mapping[str, int]) -> int | None:
    """The value of a dim's expression, where all its names are known and it is a size."""
    try:
        whole = re.sub(r"/+", "//", expression.replace("^", "**"))
        value = eval(whole, {"__builtins__": {}}, dict(names))
    except Exception:
        return None
    return value if type(value) is int and 0 < value < 1 << 16 else None


def fits(shape: WrittenShape, sizes: Sequence[int]) -> bool:
    """Whether sizes have the rank and the numbers of a shape."""
    if shape.rest is not None:
        head, tail = shape.dims[: shape.rest], shape.dims[shape.rest :]
        if len(sizes) < len(shape.dims):
            return False
        ends = [*zip(head, sizes), *zip(reversed(tail), reversed(sizes))]
        return all(not isinstance(dim, int) or dim == size for dim, size in ends)
    return len(shape.dims) == len(sizes) and all(
        not isinstance(dim, int) or dim == size for dim, size in zip(shape.dims, sizes)
    )


def spelled(shape: WrittenShape) -> str:
    """The shape in one form."""
    dims = ["?" if dim is None else str(dim) for dim in shape.dims]
    if shape.rest is not None:
        dims.insert(shape.rest, "...")
    return f"({', '.join(dims)}{',' if len(dims) == 1 else ''})"
