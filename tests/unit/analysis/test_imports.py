"""An import that an edit needs is added to every kind of file, where a person would add it, and never twice."""

from __future__ import annotations

import ast

import pytest

from ts_shape_server.analysis.imports import ensure_import
from ts_shape_server.analysis.text import SourceText

CASES = {
    "it is there": ("torch", "import torch\n", "torch", "import torch\n"),
    "it has another name": ("math", "import math as m\n\nx = 1\n", "m", "import math as m\n\nx = 1\n"),
    "a part of it is imported": (
        "torch",
        "from torch import nn\n\n\nclass Net(nn.Module):\n    pass\n",
        "torch",
        "from torch import nn\nimport torch\n\n\nclass Net(nn.Module):\n    pass\n",
    ),
    "after the future": (
        "math",
        "from __future__ import annotations\n\nimport torch\n",
        "math",
        "from __future__ import annotations\n\nimport torch\nimport math\n",
    ),
    "only the future": (
        "math",
        "from __future__ import annotations\n\n\ndef f():\n    pass\n",
        "math",
        "from __future__ import annotations\n\nimport math\n\n\ndef f():\n    pass\n",
    ),
    "a docstring": ("math", '"""About it."""\n\nx = 1\n', "math", '"""About it."""\n\nimport math\n\nx = 1\n'),
    "a comment": ("math", "# a licence\n\nx = 1\n", "math", "# a licence\n\nimport math\n\nx = 1\n"),
    "beside its kin": (
        "math",
        "import os\n\nimport torch\n",
        "math",
        "import os\nimport math\n\nimport torch\n",
    ),
    "line ends of another system": ("math", "import os\r\nx = 1\r\n", "math", "import os\r\nimport math\r\nx = 1\r\n"),
    "no line end at the end": ("math", "import os", "math", "import os\nimport math\n"),
    "in a try": (
        "math",
        "try:\n    import torch\nexcept ImportError:\n    torch = None\n",
        "math",
        "try:\n    import torch\nexcept ImportError:\n    torch = None\nimport math\n",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_import_is_added_where_a_person_would(name: str) -> None:
    module, before, called, after = CASES[name]
    source = SourceText(before)
    found, edits = ensure_import(source, ast.parse(before), module)
    assert (found, source.apply(edits)) == (called, after)
