"""What stands at the top of a file does not cost its classes; what is missing is stood in for, and never pretended."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ts_shape_server.contract import schema
from ts_shape_server.contract.asked import FileAsked

NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)
    def forward(self, x):
        return self.fc(x)
"""
HEAD = "import torch\nfrom torch import nn\n"
WORKS = HEAD + NET

Check = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def driver() -> Iterator[subprocess.Popen[str]]:
    """One process that has torch, for all cases of this module; each case runs in a fork of it."""
    script = Path(__file__).with_name("loading_driver.py")
    process = subprocess.Popen(
        [sys.executable, "-B", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    assert process.stdin is not None
    process.stdin.close()
    process.wait(10)
    assert process.stdout is not None
    process.stdout.close()


@pytest.fixture
def check(driver: subprocess.Popen[str], tmp_path: Path) -> Check:
    """`check({file: text}, …)`: what loading `Net` from `net.py` (or `path`) of such a workspace gives."""

    def attempt(files: Mapping[str, str] | str, path: str = "net.py", **more: Any) -> dict[str, Any]:
        files = {path: files} if isinstance(files, str) else files
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        overlays = {str(tmp_path / name): text for name, text in more.pop("overlays", {}).items()}
        extra_paths = tuple(more.pop("extra_paths", ()))
        file = FileAsked(str(tmp_path / path), str(tmp_path), overlays, extra_paths)
        job = {"file": schema.write(file), "class": "Net", "seconds": 2.0, **more}
        assert driver.stdin is not None and driver.stdout is not None
        driver.stdin.write(json.dumps(job) + "\n")
        driver.stdin.flush()
        result: dict[str, Any] = json.loads(driver.stdout.readline())
        assert result["answer"] is not None, f"the process ended with status {result['status']}"
        answer: dict[str, Any] = result["answer"]
        return answer

    return attempt


@pytest.mark.parametrize(
    "top",
    [
        "model = 1 / 0",
        "import sys; sys.exit(3)",
        "raise KeyboardInterrupt",
        "import argparse\nargs = argparse.ArgumentParser().add_argument('--data', required=True)\nargs.parse_args()",
        "data = open('no/such/file.csv').read()",
        "for epoch in range(10**9): pass",
        "while True:\n    pass",
        "with open('missing') as f:\n    data = f.read()",
        "answer = input()",
        "assert torch.cuda.is_available(), 'needs a GPU'",
        "if __name__ == '__main__':\n    raise SystemExit",
        "weights = torch.load('best.pth')['model']",
        "model = nn.Linear(2, 2).cuda()\nx = torch.zeros(3, device='cuda')\nmodel.to('cuda:0')",
        "torch.set_default_device('cuda')",
        "from torch._six import string_classes",
        "from collections import Mapping",
        "import no_such_package.deep.inside as inside\ninside.setup(debug=True)",
        "from no_such_package import *",
        "from no_such_package import decorate\n@decorate(1)\ndef f(): ...",
    ],
)
@pytest.mark.parametrize("above", [True, False], ids=["above", "below"])
def test_a_class_is_found_whatever_stands_above_or_below_it(check: Check, top: str, above: bool) -> None:
    found = check(HEAD + top + NET if above else WORKS + top + "\n")
    assert found.get("shape") == [2, 3], found
    assert found["seconds"] < 2


PARSER = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument('--width', type=int, default=4)
parser.add_argument('--kind', choices=['gated', 'plain'], required=True)
parser.add_argument('--depth', type=int, required=True)
parser.add_argument('--data', required=True)
parser.add_argument('place')
options = parser.parse_args()
width = int(options.width)
data = open(options.data).read()
"""


def test_a_command_line_that_nobody_gave_leaves_the_defaults(check: Check) -> None:
    found = check(HEAD + PARSER + NET.replace("4, 3", "width, 3"), value="vars(options)")
    assert found.get("shape") == [2, 3], found
    assert found["value"] == {"width": 4, "kind": "gated", "depth": None, "data": None, "place": None}
    assert set(found["failed"]) == {"data"}


def test_a_parser_that_is_given_something_parses_it(check: Check) -> None:
    given = PARSER.replace("parse_args()", "parse_args(['--width', '5'])")
    assert "options" in check(HEAD + given + NET)["failed"]


def test_a_class_scripts_when_its_file_was_run_in_parts(check: Check) -> None:
    found = check(HEAD + "import no_such_package\nraise ValueError\n" + NET, script=True)
    assert found["scripted"] == [2, 3]


def test_what_comes_after_an_endless_loop_is_still_made(check: Check) -> None:
    found = check(HEAD + "while True: pass\nwidth = int('4')\n" + NET.replace("4, 3", "width, 3"))
    assert found["shape"] == [2, 3]


@pytest.mark.parametrize(
    ("source", "code", "words"),
    [
        ("class Net(:\n", "syntax-error", "does not parse in line 1"),
        ("class Net(nn.Module): ...\n", "raises-at-import", "line 1: NameError: name 'nn' is not defined"),
        (HEAD + "class Net(1): ...\n", "raises-at-import", "line 3: TypeError"),
        (HEAD + "base = 1 / 0\nclass Net(base): ...\n", "raises-at-import", "line 3: ZeroDivisionError"),
        (HEAD + "def make():\n    class Net(nn.Module): ...\n", "no-class", "does not exist"),
        (HEAD + "class Net: ...\n", "no-module", "is no `nn.Module`"),
        ("from gone import Thing\nclass Net(Thing): ...\n", "no-module", "`gone` could not be imported"),
    ],
)
def test_a_class_that_cannot_be_had_is_explained(check: Check, source: str, code: str, words: str) -> None:
    found = check(source)
    assert found["code"] == code, found
    assert words in found["message"]


def test_a_missing_file_is_explained(check: Check) -> None:
    assert check({}, path="nowhere.py")["code"] == "no-file"


def test_a_name_that_could_not_be_made_keeps_its_cause(check: Check) -> None:
    found = check(HEAD + "cfg = open('cfg.yaml')\n" + NET.replace("4, 3", "cfg.width, 3"))
    assert "name 'cfg' is not defined" in found["error"]
    assert "cfg.yaml" in found["failed"]["cfg"]


def test_a_missing_package_is_named_and_refuses_to_compute(check: Check) -> None:
    found = check("import apex\n" + WORKS.replace("self.fc(x)", "apex.fused(x)"))
    assert found["stubbed"] == ["apex"]
    assert "`apex` is not installed" in found["error"]


@pytest.mark.parametrize("use", ["self.fc(x) + apex.bias", "torch.add(x, apex.bias)", "x.view(apex.size)", "apex()(x)"])
def test_no_result_ever_comes_from_a_stand_in(check: Check, use: str) -> None:
    found = check("import apex\n" + WORKS.replace("self.fc(x)", use))
    assert "StandInUsed" in found.get("error", "") or "Error" in found.get("error", ""), found


def test_a_base_class_of_a_missing_package_serves_as_a_module(check: Check) -> None:
    source = """
    import pytorch_lightning as pl, torch
    from torch import nn
    class Net(pl.LightningModule):
        def __init__(self, width=3):
            super().__init__()
            self.save_hyperparameters()
            self.fc = nn.Linear(4, self.hparams.width)
        def forward(self, x):
            return self.fc(x.to(self.device))
    """
    assert check("\n".join(line[4:] for line in source.splitlines()))["shape"] == [2, 3]


@pytest.mark.parametrize(
    ("top", "value"),
    [
        ("try:\n    import apex\nexcept ImportError:\n    apex = None", "apex is None"),
        ("try:\n    import apex\nexcept:\n    apex = None", "apex is None"),
        (
            "def has():\n    try:\n        import apex\n    except ImportError:\n        return False\n    return True",
            "not has()",
        ),
        ("import importlib.util\nfound = importlib.util.find_spec('apex')", "found is None"),
        (
            "try:\n    from collections import Mapping\nexcept ImportError:\n    from collections.abc import Mapping",
            "Mapping is __import__('collections').abc.Mapping",
        ),
    ],
)
def test_the_authors_own_fallback_for_a_missing_package_serves(check: Check, top: str, value: str) -> None:
    found = check(f"{top}\n{WORKS}", value=value)
    assert found.get("value") is True, found
    assert found["stubbed"] == []


def test_a_try_that_gives_up_is_no_fallback(check: Check) -> None:
    found = check("try:\n    import apex\nexcept ImportError:\n    raise SystemExit('install apex')\n" + WORKS)
    assert found["shape"] == [2, 3]
    assert found["stubbed"] == ["apex"]


def test_a_library_still_gets_its_import_error(check: Check) -> None:
    library = "try:\n    import absent_accelerator\n    fast = True\nexcept ImportError:\n    fast = False\n"
    files = {
        "net.py": "import absent_accelerator, somelib\n" + WORKS,
        "venv/lib/site-packages/somelib.py": library,
    }
    found = check(files, value="somelib.fast is False", extra_paths=[])
    assert found["stubbed"] == ["absent_accelerator", "somelib"]
    import_path = check(files, value="somelib.fast is False", extra_paths=["venv/lib/site-packages"])
    assert import_path["stubbed"] == ["absent_accelerator", "somelib"]


def test_an_installed_library_that_tries_an_optional_import_is_left_alone(check: Check, tmp_path: Path) -> None:
    library = "try:\n    import absent_accelerator\n    fast = True\nexcept ImportError:\n    fast = False\n"
    site = tmp_path / "venv" / "site-packages"
    files = {"net.py": "import absent_accelerator, somelib\n" + WORKS, "venv/site-packages/somelib.py": library}
    found = check(files, value="somelib.fast is False", extra_paths=[str(site)])
    assert found["stubbed"] == ["absent_accelerator"]
    assert found["value"] is True


def test_unsaved_text_is_what_is_loaded(check: Check) -> None:
    files = {"net.py": "old text (", "other.py": "width = 1\n"}
    overlays = {
        "net.py": "from other import width\nfrom fresh import depth\n" + WORKS.replace("4, 3", "4, width + depth"),
        "other.py": "width = 5\n",
        "fresh.py": "depth = 2\n",
    }
    found = check(files, overlays=overlays, script=True)
    assert found["scripted"] == [2, 7]


def test_a_member_of_a_package_is_imported_as_one(check: Check) -> None:
    files = {
        "pkg/__init__.py": "from .sub.net import Net\n",
        "pkg/sub/__init__.py": "",
        "pkg/sub/net.py": "from ..parts import width\nfrom . import layers\n" + WORKS.replace("4, 3", "4, width"),
        "pkg/sub/layers.py": "",
        "pkg/parts.py": "from .sub import net\nwidth = 6\n",
    }
    found = check(files, path="pkg/sub/net.py")
    assert found["shape"] == [2, 6]
    assert found["module"] == "pkg.sub.net"
    assert [Path(path).name for path in found["depends"]] == [
        "__init__.py", "parts.py", "__init__.py", "layers.py", "net.py",
    ]  # fmt: skip


def test_a_file_in_a_folder_that_is_no_package_is_run_once(check: Check) -> None:
    files = {"parts/net.py": WORKS, "whole.py": "from parts.net import Net\n"}
    found = check(files, path="parts/net.py", value="__import__('whole').Net is Net")
    assert found["value"] is True


@pytest.mark.parametrize(
    ("path", "top", "sizes"),
    [
        ("parts/net.py", "from .sizes import width\n", "parts/sizes.py"),
        ("more/parts/net.py", "from ..sizes import width\n", "more/sizes.py"),
        ("more/parts/net.py", "from ..parts.sizes import width\n", "more/parts/sizes.py"),
    ],
)
def test_a_folder_without_init_is_a_package_for_relative_imports(check: Check, path: str, top: str, sizes: str) -> None:
    found = check({path: top + WORKS.replace("4, 3", "4, width"), sizes: "width = 6\n"}, path=path)
    assert found["shape"] == [2, 6]
    assert found["stubbed"] == []


READS = HEAD + NET.replace("nn.Linear(4, 3)", "nn.Linear(4, width)")


@pytest.mark.parametrize(
    ("rest", "width", "note"),
    [
        pytest.param(
            "import os\nif os.sep == 'x':\n    width = 6\nelif os.sep == 'y':\n    width = 7\n",
            6,
            "`width` is 6 here, as in the branch in line 12; other branches set 7.",
            id="in a branch",
        ),
        pytest.param(
            'if __name__ == "__main__":\n    import argparse\n    p = argparse.ArgumentParser()\n'
            "    p.add_argument('--n', type=int, default=5)\n    a = p.parse_args()\n    width = a.n\n    Net()\n",
            5,
            '`width` is what line 15 sets, under `if __name__ == "__main__":`.',
            id="where the program begins",
        ),
        pytest.param(
            "def main():\n    global width\n    width = len('four')\n    raise SystemExit\n",
            4,
            "`width` is what line 12 sets, in `main`.",
            id="in a function",
        ),
    ],
)
def test_a_global_that_a_probe_does_not_come_to_is_set(check: Check, rest: str, width: int, note: str) -> None:
    found = check(READS + rest)
    assert (found["shape"], found["notes"]) == ([2, width], [note])


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param("", id="nowhere"),
        pytest.param("def other():\n    width = 4\n", id="as a local of a function"),
        pytest.param("width = open('/nowhere/at/all').read()\n", id="by what fails"),
        pytest.param("if 0:\n    width = len(open('/nowhere/at/all').read())\n", id="in a branch, by no literal"),
        pytest.param('if __name__ == "__main__":\n    width = open("/nowhere/at/all")\n', id="by a program that fails"),
    ],
)
def test_a_global_that_cannot_be_had_stays_unknown(check: Check, rest: str) -> None:
    found = check(READS + rest)
    assert "width" in found["error"]
    assert found["notes"] == []


def test_a_package_that_fails_to_initialise_does_not_cost_its_modules(check: Check) -> None:
    files = {
        "pkg/__init__.py": "import sys\nsys.exit('run setup first')\nfrom .net import Net\n",
        "pkg/net.py": "from .parts import width\n" + WORKS.replace("4, 3", "4, width"),
        "pkg/parts.py": "width = 6\n",
    }
    assert check(files, path="pkg/net.py")["shape"] == [2, 6]


@pytest.mark.parametrize("name", ["torch", "json", "types", "ts_shape_server", "my-model"])
def test_a_file_may_have_any_name(check: Check, name: str) -> None:
    path = f"{name}.py"
    found = check({path: WORKS}, path=path)
    assert found.get("shape") == [2, 3], found


def test_a_training_script_that_is_imported_costs_little(check: Check) -> None:
    train = HEAD + "from net import Net\nwidth = 3\nwhile True:\n    pass\n"
    files = {
        "net.py": WORKS.replace("4, 3", "4, width()") + "def width():\n    from train import width\n    return width\n",
        "train.py": train,
    }
    assert check(files)["shape"] == [2, 3]


def test_pretrained_weights_that_are_not_here_do_not_cost_the_class(check: Check) -> None:
    body = "super().__init__()\n        self.base = nn.Linear(4, 4)\n        self.base.load_state_dict(%s)"
    source = WORKS.replace("super().__init__()", body)
    cases = {
        "torch.load('best.pth')['net']": ["weights best.pth"],
        "{k: v for k, v in torch.load('best.pth').items()}": ["weights best.pth"],
        "torch.hub.load_state_dict_from_url('https://example.org/w/v1.pth')": ["weights v1.pth"],
    }
    for expression, stubbed in cases.items():
        found = check(source % expression)
        assert found.get("shape") == [2, 3], found
        assert found["stubbed"] == stubbed


def test_an_export_never_makes_weights_up(check: Check) -> None:
    source = WORKS.replace("super().__init__()", "super().__init__()\n        torch.load('best.pth')")
    assert "best.pth" in check(source, own_weights=True)["error"]


@pytest.mark.parametrize(
    "top",
    ["import os; os._exit(0)", "import os; os.abort()", "def f(): ...\n@(lambda f: exit())\ndef unused(): ..."],
)
def test_a_slice_reaches_past_what_ends_the_process(check: Check, top: str) -> None:
    found = check(HEAD + top + "\nwidth = 3\n" + NET.replace("4, 3", "4, width"), sliced=True)
    assert found["shape"] == [2, 3]


def test_a_slice_takes_what_the_class_reaches_and_no_more(check: Check) -> None:
    source = """
import os
import torch
from torch import nn
if True:
    def size(): return table["width"]
table = dict(width=3)
unused = os._exit(1)
print(os._exit(2))
class Base(nn.Module):
    pass
class Net(Base):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, size())
    def forward(self, x):
        return self.fc(x)
class Other(Base):
    os._exit(3)
"""
    assert check(source, sliced=True)["shape"] == [2, 3]


@pytest.mark.parametrize(
    "body",
    [
        "return self.fc(x.cuda()).cpu()",
        "return self.fc.cuda()(x.to('cuda'))",
        "return self.fc(x + torch.zeros(4, device=torch.device('cuda:0')))",
        "return self.to(torch.device('cuda', 0)).fc(x.to(device='cuda', non_blocking=True))",
        "return self.fc(x.type(torch.cuda.FloatTensor))",
        "return self.fc(torch.cuda.FloatTensor(2, 4).fill_(1))",
        "with torch.cuda.device(0), torch.autocast('cuda'):\n            return self.fc(x).float()",
        "return self.fc(x.to(torch.ones(1).cuda().device))",
    ],
)
def test_code_that_wants_an_accelerator_runs_on_the_cpu(check: Check, body: str) -> None:
    found = check(WORKS.replace("return self.fc(x)", body))
    assert found.get("shape") == [2, 3], found


def test_what_a_loop_would_have_set_keeps_its_cause(check: Check) -> None:
    found = check(HEAD + "for _ in range(2):\n    part = 1 / 0\n    width = 4\n" + NET.replace("4, 3", "width, 3"))
    assert "name 'width' is not defined" in found["error"]
    assert "ZeroDivisionError" in found["failed"]["width"]
