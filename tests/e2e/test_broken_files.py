"""Files that cannot be run as they are: a clear sentence for each, and the server goes on."""

from __future__ import annotations

from pathlib import Path

from editor import Editor, editor

WORKSPACES = Path(__file__).parents[1] / "workspaces"
BROKEN = WORKSPACES / "broken"


async def check(tmp_path: Path, name: str, class_name: str, *words: str, code: str | None = "probe-failed") -> None:
    """The hover over the class and the finding at it say these words; another file is served afterwards."""
    async with editor(BROKEN, tmp_path, settings={"timeoutMs": 3000, "hover": {"waitMs": 20000}}) as session:
        uri = session.open(name)
        lines = (BROKEN / name).read_text(encoding="utf-8").split("\n")
        line = next(number for number, text in enumerate(lines) if f"class {class_name}" in text)
        for each in words:
            await session.hover_until(uri, line, 7, each)
        if code is not None:
            await session.until(lambda: code in session.codes(uri))
        await _goes_on(session)


async def _goes_on(session: Editor) -> None:
    uri = session.open("unsaved.py", (WORKSPACES / "start" / "my_model.py").read_text(encoding="utf-8"))
    await session.hover_until(uri, 4, 7, "MyModel(x: Tensor (B, 10) float32)")


async def test_a_syntax_error(tmp_path: Path) -> None:
    await check(tmp_path, "syntax_error.py", "Cut", "The file does not parse (line 5: ")


async def test_a_missing_package_is_stood_in_for(tmp_path: Path) -> None:
    await check(tmp_path, "missing_package.py", "Needs", "Needs(x: Tensor (B, 4) float32)", code=None)


async def test_a_missing_package_that_forward_calls_is_named(tmp_path: Path) -> None:
    await check(tmp_path, "missing_package.py", "Uses", "no_such_package_anywhere")


async def test_a_file_that_raises_at_import_is_sliced_to_the_class(tmp_path: Path) -> None:
    await check(tmp_path, "raises_at_import.py", "Behind", "Behind(x: Tensor (B, 4) float32)", code=None)


async def test_an_endless_forward_is_ended_and_the_class_beside_it_is_told(tmp_path: Path) -> None:
    await check(tmp_path, "endless_forward.py", "Endless", "The probe took too long and was ended")


async def test_a_class_beside_an_endless_one_has_its_report(tmp_path: Path) -> None:
    await check(tmp_path, "endless_forward.py", "Beside", "Beside(x: Tensor (B, 4) float32)")


async def test_what_a_module_prints_does_not_reach_the_protocol(tmp_path: Path) -> None:
    await check(tmp_path, "prints_at_import.py", "Prints", "Prints(x: Tensor (B, 4) float32)", code=None)


async def test_a_newer_text_cancels_the_probe_of_the_older(tmp_path: Path) -> None:
    async with editor(BROKEN, tmp_path, settings={"timeoutMs": 30000}) as session:
        text = (BROKEN / "endless_forward.py").read_text(encoding="utf-8")
        uri = session.open("endless_forward.py")
        await session.until(lambda: any(getattr(item, "running", 0) for item in session.statuses))
        session.replace(uri, text.replace("while True", "while False"), 2)
        await session.hover_until(uri, 3, 7, "Endless(x: Tensor (B, 4) float32)")
