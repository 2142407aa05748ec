"""Blocks and cells of documents are programs that keep their lines."""

from __future__ import annotations

import json

import pytest

from ts_shape_server.analysis.documents import pieces

PAGE = """# Net

```python
from net import Net
model = Net(3)
```

Words, and a shell:

```bash
pip install net
```

1. in a list:
   ```py
   >>> from net import Net
   >>> Net(4)
   Net()
   ```

```python
this is no Python
```
"""
STRUCTURED = """Net
===

.. code-block:: python
   :linenos:

   from net import Net
   Net(5)

Words.
"""
NOTEBOOK = json.dumps(
    {
        "cells": [
            {"cell_type": "markdown", "source": ["Words"]},
            {"cell_type": "code", "source": ["%matplotlib inline\n", "from net import Net\n"]},
            {"cell_type": "code", "source": ["%%bash\n", "ls\n"]},
            {"cell_type": "code", "source": "x = !ls\n"},
            {"cell_type": "code", "source": "for n in (1, 2):\n    !ls\nNet(6)"},
        ]
    }
)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "README.md",
            PAGE,
            [{4: "from net import Net", 5: "model = Net(3)"}, {16: "from net import Net", 17: "Net(4)"}],
        ),
        ("index.rst", STRUCTURED, [{7: "from net import Net", 8: "Net(5)"}]),
        (
            "demo.ipynb",
            NOTEBOOK,
            [{1: "pass", 2: "from net import Net", 4: "for n in (1, 2):", 5: "    pass", 6: "Net(6)"}],
        ),
        ("broken.ipynb", "{", []),
        ("README.md", "no code", []),
        ("README.md", "```python\nnever closed", []),
    ],
)
def test_the_programs_of_a_document(name: str, text: str, expected: list[dict[int, str]]) -> None:
    found = [
        {number: line for number, line in enumerate(piece.splitlines(), 1) if line.strip()}
        for piece in pieces(name, text)
    ]
    assert found == expected
