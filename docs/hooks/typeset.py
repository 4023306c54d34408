"""Typeset formulas as MathML while the site is built: no script, nothing fetched by a reader.

``pymdownx.arithmatex`` finds them, ``$…$`` within a line and fences of ``math`` for displays, as
GitHub does. A formula that math-core cannot translate ends the build.
"""

import html
import re

from math_core import LatexError, LatexToMathML
from mkdocs.exceptions import PluginError

FORMULA = re.compile(
    r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>',
    re.DOTALL,
)
TRANSLATOR = LatexToMathML(fancy_error=False)


def on_page_content(content: str, page, **_) -> str:
    """Replace the formulas of a page, which mkdocs calls this for."""

    def typeset(found: re.Match[str]) -> str:
        element, tex = found[1], html.unescape(found[2]).strip()
        try:
            formula = TRANSLATOR.convert_with_local_state(tex, displaystyle=element == "div")
        except LatexError as error:
            raise PluginError(f"{page.file.src_uri}: {tex}: {error}") from error
        return f'<{element} class="formula">{formula}</{element}>'

    return FORMULA.sub(typeset, content)
