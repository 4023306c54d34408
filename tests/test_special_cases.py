"""Earlier methods agree with formulas of their own, and the page of special cases tells of them."""

import numpy as np
import pytest

from tests.special_cases import CASES, ROOT, Data, page


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.filterwarnings("ignore::lpgd.StuckWarning")
def test_a_method_agrees_with_its_formula(case, seed):
    data = Data(seed)
    if case.code.endswith("(POOL)"):
        data.pool = Data().pool
    value, gradient = case.found(data)
    expected = case.gradient(data)
    differences = 1e-8 if "phere" in case.name else 1e-9  # those are differences themselves
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=differences)
    assert case.name.startswith("Perturbation-based") or np.abs(expected).max() > 0.1
    if case.value is not None:
        np.testing.assert_allclose(value, case.value(data), rtol=0, atol=1e-9)


def test_names_are_different():
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_page_is_up_to_date():
    written = (ROOT / "docs/special-cases.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m tests.special_cases > docs/special-cases.md"
