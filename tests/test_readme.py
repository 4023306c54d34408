"""Every ``python`` block of the README and the documentation runs as it stands.

Blocks of one page share a namespace, in their order. Sketches are fenced as ``py``.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]


def code_of(page: Path) -> str:
    """The blocks of a page at their own lines, so that tracebacks point into the page."""
    text = page.read_text(encoding="utf-8")
    lines = [""] * (text.count("\n") + 1)
    for block in BLOCK.finditer(text):
        first = text.count("\n", 0, block.start(1))
        for number, line in enumerate(block[1].splitlines(), start=first):
            lines[number] = line
    return "\n".join(lines).rstrip()


RUNNABLE = {str(page.relative_to(ROOT)): page for page in PAGES if code_of(page)}


def test_the_pages_with_code_are_found() -> None:
    assert {"README.md", "docs/quickstart.md", "docs/extending.md"} <= set(RUNNABLE)


@pytest.mark.parametrize("name", RUNNABLE)
@pytest.mark.filterwarnings("ignore::lpgd.SolverWarning")
def test_page_runs(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    page = RUNNABLE[name]
    exec(compile(code_of(page), str(page), "exec"), {"__name__": "documentation"})
