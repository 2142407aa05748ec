"""``python -m scripts.package_contents FILE…``: says what is wrong with the contents of a wheel or an extension; 1 if
anything is.

What people install holds all of the program and nothing else: no tests, no caches, no torch, nothing that is built for
one machine, and the licence of everything that is in it.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ts_shape_server"
LIBS = "extension/bundled/libs/"
_UNWANTED: Mapping[str, str] = {
    "a test": r"(^|/)tests?/|(^|/)(test_\w+|conftest)\.py$",
    "a cache": r"(^|/)(__pycache__|\.(mypy|ruff|pytest)_cache|\.hypothesis|\.import_linter_cache|\.cache)/|\.py[co]$",
    "an environment": r"(^|/)(\.venv|venv|node_modules|\.git)/",
    "torch": r"(^|/)torch/|(^|/)(lib)?torch[^/]*\.(so|dylib|dll)",
    "native code": r"\.(so|pyd|dylib|dll|a|o)(\.\d+)*$",
    "a source that is bundled": r"^extension/(src|scripts|report)/|\.tsx?$|tsconfig\.json$",
    "a name that leads out": r"(^|/)\.\.(/|$)|^/",
    "a secret": r"(^|/)(\.env|\.npmrc|\.pypirc|id_rsa)$|\.pem$",
}


def unwanted(names: Iterable[str]) -> list[str]:
    """What must be in no package, each with what it is."""
    return [f"{name} is {what}" for name in names for what, shape in _UNWANTED.items() if re.search(shape, name)]


def program() -> list[str]:
    """The files of the server as the checkout has them."""
    found = (path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def of_wheel(names: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """What is wrong with a wheel of these names; `wanted` are the files of the program."""
    there = set(names)
    strange = [f"{name} is none of the program" for name in there if not re.match(r"ts_shape_server[/-]", name)]
    missing = [f"{name} is missing" for name in wanted if name not in there]
    licence = [] if any(re.search(r"\.dist-info/.*LICENSE$", name) for name in there) else ["the licence is missing"]
    return sorted([*unwanted(there), *strange, *missing, *licence])


def of_extension(names: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """What is wrong with an extension of these names; the program lies among the libraries that it brings."""
    there = set(names)
    needed = ["extension/package.json", "extension/out/extension.js", "extension/bundled/server.py"]
    missing = [f"{name} is missing" for name in (*needed, *(LIBS + item for item in wanted)) if name not in there]
    libraries = {match.group(1) for name in there if (match := re.match(LIBS + r"([^/]+)\.dist-info/", name))}
    licensed = {
        match.group(1)
        for name in there
        if (match := re.match(LIBS + r"([^/]+)\.dist-info/.*(LICEN[CS]E|COPYING|NOTICE)", name, re.IGNORECASE))
    }
    unlicensed = [f"the licence of {name} is missing" for name in libraries - licensed]
    own = [name for name in there if re.match(r"extension/LICENSE(\.txt|\.md)?$", name)]
    return sorted([*unwanted(there), *missing, *unlicensed, *([] if own else ["the licence is missing"])])


def problems(package: Path) -> list[str]:
    """What is wrong with a package, by its kind."""
    from ts_shape_server import __version__

    with zipfile.ZipFile(package) as archive:
        names = [item.filename for item in archive.infolist() if not item.is_dir()]
        if package.suffix == ".whl":
            named = package.name.split("-")[1]
            found = of_wheel(names, program())
        else:
            named = json.loads(archive.read("extension/package.json"))["version"]
            found = of_extension(names, program())
    return found if named == __version__ else [*found, f"it is of version {named}, and the program of {__version__}"]


def main() -> int:
    wrong = 0
    for name in sys.argv[1:]:
        found = problems(Path(name))
        wrong += len(found)
        print(f"{name}: {'well' if not found else ''}", *found, sep="\n  ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
