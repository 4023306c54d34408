"""The built documentation has typeset formulas and fetches nothing from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
FETCHED = re.compile(r'<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)="([^"]*)"')


def test_relative_links_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")]
    for page in pages:
        text = FENCED.sub("", page.read_text(encoding="utf-8"))
        for link in re.findall(r"\]\(([^)#\s]+)", text):
            if "://" not in link:
                assert (page.parent / link).exists(), (page.name, link)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as ``mkdocs build --strict`` makes it."""
    for name in ("mkdocs", "material", "mkdocstrings", "math_core"):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_formula_is_typeset(site: Path) -> None:
    for page in (ROOT / "docs").glob("*.md"):
        source = page.read_text(encoding="utf-8")
        found = source.count("\n```math\n") + FENCED.sub("", source).count("$") // 2
        built = site / ("index.html" if page.stem == "index" else f"{page.stem}/index.html")
        text = built.read_text(encoding="utf-8")
        assert text.count("<math") == found, page.name
        assert "arithmatex" not in text, page.name


def test_the_mathematics_has_formulas(site: Path) -> None:
    text = (site / "mathematics/index.html").read_text(encoding="utf-8")
    assert text.count('<div class="formula"><math') >= 8
    assert text.count('<span class="formula"><math') >= 100


def test_the_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    for built in (*site.rglob("*.html"), *site.rglob("*.css")):
        text = built.read_text(encoding="utf-8")
        fetched = [*FETCHED.findall(text), *re.findall(r"url\(\"?([^)\"]*)", text)]
        outside = [link for link in fetched if re.match(r"(https?:)?//", link)]
        assert not outside, (built.name, outside)


def test_the_font_of_formulas_is_there_with_its_licence(site: Path) -> None:
    style = (site / "assets/site.css").read_text(encoding="utf-8")
    (font,) = re.findall(r"url\(\"([^\"]*)\"\)", style)
    assert (site / "assets" / font).read_bytes()[:4] == b"wOF2"
    licence = (site / "assets" / font).with_suffix(".LICENSE.txt")
    assert "SIL OPEN FONT LICENSE" in licence.read_text(encoding="utf-8")
