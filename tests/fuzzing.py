"""What the fuzzers feed: one function for each border that strangers' bytes cross, and documents made to do harm.

A target returns nothing and raises nothing: whatever it raises is a finding. Used by short tests and long runs alike.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping

from evidence_helpers import calls_in

from ts_shape_server.agent.saved import kinds
from ts_shape_server.analysis import names
from ts_shape_server.analysis.edits import annotate
from ts_shape_server.analysis.modules import find_classes, module_classes
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract import schema, wire
from ts_shape_server.contract.jobs import read_claim, read_message
from ts_shape_server.contract.report import Annotation
from ts_shape_server.contract.schema import ContractError
from ts_shape_server.features.known import Known
from ts_shape_server.features.page import page
from ts_shape_server.features.words import flow
from ts_shape_server.settings import from_pyproject, parse


def messages(data: bytes) -> None:
    """Bytes of an agent: frames, messages, claims, reports."""
    decoder = wire.Decoder(1 << 20)
    cut = len(data) // 2
    try:
        for part in (data[:cut], data[cut:]):
            for message in decoder.feed(part):
                read_message(message)
    except ContractError:
        pass
    claims(data)


def claims(data: bytes) -> None:
    """Bytes of a child: a claim, the report in it, and what a person is shown of it."""
    try:
        report = read_claim(data.decode("utf-8", "replace")).report
    except ContractError:
        return
    if report is not None:
        json.dumps(schema.write(report), allow_nan=False)
        page(Known(report.name, report, fresh=True))
        flow(report)


def settings(data: bytes) -> None:
    """A project file, and settings as a client sends them."""
    text = data.decode("utf-8", "replace")
    layer, _ = from_pyproject(text)
    parse(layer)
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        return
    parse(given if isinstance(given, dict) else {"timeoutMs": given}, layer)


def pragmas(data: bytes) -> None:
    """Comments that speak to the server."""
    text = data.decode("utf-8", "replace")
    lines = "\n".join(f"# ts-shape: {line}" for line in text.splitlines())
    document(f"from torch import nn\n{lines}\nclass Net(nn.Module):\n    def forward(self, x): return x\n")


def documents(data: bytes) -> None:
    """A file of Python, or what an editor takes for one."""
    document(data.decode("utf-8", "replace"))


def document(text: str) -> None:
    """All that the server asks of a text before it asks an agent."""
    source = SourceText(text)
    classes, _ = find_classes(source)
    modules = module_classes(classes, lambda reference: False)
    for line in (1, 2, len(source.lines) // 2, len(source.lines)):
        for column in (0, 5, 10**9):
            names.name_at(source, classes, line, column)
        for encoding in ("utf-8", "utf-16", "utf-32"):
            back = source.from_client(*source.to_client(line, 7, encoding), encoding)
            assert back[1] <= 7 or back[0] >= 1
    for item in modules[:3]:
        calls_in(item.name, source, "/w/net.py")
        edits, _ = annotate(source, classes, [Annotation(item.name, "forward", "x", "Tensor", True)])
        source.apply(edits)


def archives(data: bytes) -> None:
    """A saved file: what it is, before anything of it is loaded."""
    list(kinds.pickled_classes(data))
    with tempfile.NamedTemporaryFile(suffix=".pt") as file:
        file.write(data)
        file.flush()
        found = kinds.kind_of(file.name)
    assert found.name == "pickle" or found.message or found.name in ("script", "trace", "program")


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (messages, claims, settings, pragmas, documents, archives)
}

_NET = "from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        return x\n"
_MILLION = 1_000_000

HOSTILE: Mapping[str, Callable[[], str]] = {
    "ten megabytes of lines": lambda: _NET + "x = [1, 2, 3]  # a comment\n" * 370_000,
    "ten megabytes in one line": lambda: _NET + "x = '" + "a" * (10 * _MILLION) + "'",
    "a long list in one line": lambda: _NET + "x = [" + "1, " * _MILLION + "]",
    "nothing": lambda: "",
    "NULs": lambda: "\0" * 1000,
    "a NUL in a class": lambda: _NET.replace("return", "ret\0urn"),
    "lone surrogates": lambda: _NET + "x = '\ud800'\ny = '\udfff\ud800'\n# \udc80",
    "a surrogate as a name": lambda: _NET.replace("Net", "N\ud800t"),
    "mixed line ends": lambda: (
        "from torch import nn\r\nclass Net(nn.Module):\r    def forward(self, x):\n        return x\r\r\n\n\r"
    ),
    "other line ends": lambda: _NET + "x = 'a\u2028b'\ny = 'a\x0bb\x0cc\x85d'\n\x0cclass Other(nn.Module): ...\n",
    "byte order marks": lambda: "\ufeff" + _NET + "\ufeff",
    "deep parentheses": lambda: _NET + "x = " + "(" * 100_000 + ")" * 100_000,
    "deep brackets": lambda: _NET + "x = " + "[" * 150 + "]" * 150,
    "deep signs": lambda: _NET + "x = " + "-" * 100_000 + "1",
    "deep nots": lambda: _NET + "x = " + "not " * 50_000 + "1",
    "a long sum": lambda: _NET + "x = " + "1 + " * 50_000 + "1",
    "a long chain": lambda: _NET + "x = a" + ".b" * 50_000,
    "a long chain of calls": lambda: _NET + "x = a" + "()" * 20_000,
    "a long chain of comparisons": lambda: _NET + "x = " + "1 < " * 50_000 + "2",
    "deep lambdas": lambda: _NET + "x = " + "lambda: " * 5_000 + "1",
    "deep functions": lambda: _NET + "".join(" " * n + f"def f{n}():\n" for n in range(99)) + " " * 99 + "pass\n",
    "deep classes": lambda: "\n".join(" " * n + f"class C{n}(Module):" for n in range(99)) + " pass\n",
    "deep indentation": lambda: _NET + "".join(" " * n + "if x:\n" for n in range(5_000)),
    "a long elif": lambda: _NET + "if x: pass\n" + "elif x: pass\n" * 5_000,
    "deep strings": lambda: _NET + "x = " + "f'{" * 200 + "}'" * 200,
    "many classes": lambda: "from torch import nn\n" + "".join(f"class C{n}(nn.Module): ...\n" for n in range(5_000)),
    "many parameters": lambda: _NET.replace("x)", ", ".join(f"p{n}" for n in range(20_000)) + ")"),
    "many bases": lambda: _NET.replace("nn.Module", ", ".join(f"B{n}" for n in range(20_000))),
    "classes in a circle": lambda: "".join(f"class C{n}(C{(n + 1) % 500}): ...\n" for n in range(500)),
    "many calls": lambda: _NET + "Net()(1)\n" * 5_000,
    "many pragmas": lambda: "from torch import nn\n" + "# ts-shape: x=(B, 3)\n" * 50_000 + _NET.split("\n", 1)[1],
    "a pragma without end": lambda: "# ts-shape: init(" + "(" * 50_000 + "\n" + _NET,
    "an open string": lambda: _NET + "'''" + "x" * 100_000,
    "an unfinished edit": lambda: _NET[:-20] + "\n  def",
    "tabs and blanks": lambda: (
        _NET.replace("    ", "\t") + "class B(Module):\n \tdef f(self): ...\n\t def g(self): 1\n"
    ),
    "letters of all kinds": lambda: _NET.replace("x", "𝒳é") + "# " + "🏳️‍🌈" * 10_000,
    "a long name": lambda: _NET.replace("Net", "N" * _MILLION),
}
"""Texts by what is wrong with them."""

_WORDS = (
    "type id payload outcome detail elapsed_ms class report begin phase depends path line status stage reason init args"
    " expr from inputs name dims dtype items keys values min max example second tensor list tuple dict low high symbols"
    " multiple_of constraints outputs layers variables torchscript script trace ok failures warnings annotations owner"
    " function needed code message location range column end_line end_column related timeoutMs hover waitMs interpreter"
    " env extraPaths sandbox jobs"
)
WORDS = tuple(_WORDS.split())
"""Keys of what crosses a border."""
_PYTHON = (
    "class def return if else elif for while with try except finally import from as lambda yield await async"
    " ( ) [ ] { } : , . = == + - * ** / @ -> ; | ~ ... := # \\ ' \" ''' f'"
    " Net nn.Module Module self x forward __init__ super() torch nn None True 1 0x 1e9 é 𝒳"
)
TOKENS = (
    *_PYTHON.split(),
    *("\n", "\t", "\n    ", "\n        ", "\ud800", "\0"),
    *("# ts-shape: ", "init(", "x=(B, 3)", "ignore[", "skip", "(B, 3, H, W)", "int64"),
)
"""Pieces of Python, of pragmas, and of what is neither."""
