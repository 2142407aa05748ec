"""How the facts of the compiler's messages are read: the readers that the rows of `compiler_rows` and of
`compiler_mentions` name. Reads texts of torch; decides nothing.
"""

from __future__ import annotations

import re

from ts_shape_server.agent.torch_says import rows
from ts_shape_server.agent.torch_says.rows import Facts, Reader, Row

LONGEST_FACT = 200


def readable(text: str) -> str:
    """Types and names as they are written, without torch's manglings."""
    text = re.sub(r"__torch__\.(?:[\w<>]+\.)*(?:___torch_mangle_\d+\.)?(\w+)", r"\1", text)
    text = re.sub(r" ?\(of Python compilation unit at: \w+\)", "", text)
    return text.replace(" (inferred)", "").replace("NoneType", "None").strip()


def groups(match: re.Match[str]) -> Facts:
    return {name: readable(text)[:LONGEST_FACT] for name, text in match.groupdict().items() if text is not None}


def row(kind: str, pattern: str, *said: str, read: Reader = groups) -> Row:
    """One row, whose pattern may go over the lines of a message."""
    return rows.row(kind, pattern, *said, read=read, flags=re.MULTILINE | re.DOTALL)


EXPECTED = re.compile(
    r"Expected a value of type '(?P<expected>.*?)' for argument '(?P<argument>\w+)' but instead found type "
    r"'(?P<got>.*?)'",
    re.DOTALL,
)
VARIANT = re.compile(r"^\s*(?P<name>[\w:.]+)\((?P<parameters>.*)\) -> .*:\s*$", re.MULTILINE)
_CALLEE = re.compile(r"^\s*(?:aten::|prim::)?(\w+)(?:\.\w+)?\(", re.MULTILINE)


def argument(match: re.Match[str]) -> Facts:
    """The first argument that does not fit, and the function that is called."""
    callees = _CALLEE.findall(match.string)
    inferred = "(inferred)" in match.group("expected")
    return {**groups(match), "callee": callees[-1] if callees else "", "inferred": int(inferred)}


def variants(match: re.Match[str]) -> Facts:
    """Every argument that fits no variant: what was wanted, what came, and where the argument stands among those of its
    variant (-1 if that is not told); `first` is 1 where the variant begins with `self`.
    """
    found: list[tuple[str, str, str, int, int, int]] = []
    for item in EXPECTED.finditer(match.string):
        variants = list(VARIANT.finditer(match.string, 0, item.start()))
        names = _parameters(variants[-1].group("parameters")) if variants else []
        position = names.index(item.group("argument")) if item.group("argument") in names else -1
        expected, argument, got = (readable(item.group(name)) for name in ("expected", "argument", "got"))
        found.append((expected, argument, got, position, len(names), int(names[:1] == ["self"])))
    columns = zip(*found)
    facts: dict[str, tuple[str, ...] | tuple[int, ...]] = dict(
        zip(("expected", "arguments", "got", "positions", "counts", "first"), columns)
    )
    unknown = dict.fromkeys(re.findall(r"Unknown keyword argument '(\w+)'", match.string))
    return {**facts, "unknown": tuple(unknown)}


def signatures(match: re.Match[str]) -> Facts:
    return {"callees": tuple(dict.fromkeys(item.group("name") for item in VARIANT.finditer(match.string)))}


def _parameters(text: str) -> list[str]:
    """The names of a schema's parameters."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in "([") - (sign in ")]")
        if sign == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return [item.split("=")[0].split()[-1] for item in parts if item.strip() not in ("", "*")]


def called(match: re.Match[str]) -> Facts:
    """What cannot be called; `modules` is 1 for a part of a list of modules."""
    return {**groups(match), "modules": int(match.group("type").startswith("Tuple[__torch__"))}


def truth(match: re.Match[str]) -> Facts:
    """`is_object` is 1 for a module or another object of a class."""
    return {**groups(match), "is_object": int(match.group("type").startswith("__torch__"))}


def valued(match: re.Match[str]) -> Facts:
    """`sort` is ``class`` for a type, ``legacy-constructor`` for `torch.FloatTensor` and the like, else empty."""
    kind = match.group("type")
    sort = "class" if "Construct" in kind else "legacy-constructor" if kind.startswith("Legacy") else ""
    return {**groups(match), "sort": sort}


def held(match: re.Match[str]) -> Facts:
    """`empty` is 1 for a container of whose items nothing is known."""
    return {**groups(match), "empty": int("empty" in match.string.lower())}


def function_held(match: re.Match[str]) -> Facts:
    """`is_lambda` is 1 for a lambda; `inner` is why the function does not compile."""
    inner = match.string.split("reproduced here:", 1)[-1].strip().split("\n")[0]
    is_lambda = "single top-level function" in match.string or "<lambda>" in match.string
    return {**groups(match), "inner": readable(inner).rstrip(":).")[:LONGEST_FACT], "is_lambda": int(is_lambda)}
