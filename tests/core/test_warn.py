"""Warnings point at the first line that is not the library's."""

import runpy
import warnings

import lpgd
from lpgd.core.warn import warn


def caught(call, *args):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call(*args)
    return found[0].filename


def ours(text):
    """A function f of a file that lies within the library."""
    names = {"__name__": "lpgd.somewhere"}
    exec(compile(text, f"{lpgd.__path__[0]}/somewhere.py", "exec"), names)
    return names["f"]


def test_a_warning_points_at_the_line_that_called_the_library():
    assert caught(warn, "here", UserWarning) == __file__


def test_lines_of_the_library_are_passed_over():
    f = ours("def f(warn):\n    g(warn)\ndef g(warn):\n    warn('there', UserWarning)\n")
    assert caught(f, warn) == __file__


def test_the_innermost_line_outside_counts(tmp_path):
    inner = tmp_path / "inner.py"
    inner.write_text("def f(g, warn):\n    g(warn)\n")
    f = runpy.run_path(str(inner))["f"]
    assert caught(f, ours("def f(warn):\n    warn('there', UserWarning)\n"), warn) == str(inner)
