"""Systems [[H, B'], [B, 0]] in units that make regular ones look singular."""

import numpy as np
import pytest

from lpgd.families.qp.saddle import Saddle

H = np.array([[2.0, 0.3, 0.0], [0.3, 1.0, 0.0], [0.0, 0.0, 0.0]])
B = np.array([[-1.0, 0.0, 3.0], [0.0, -1.0, 2.0]])


@pytest.mark.parametrize("power", [0, 40, -40, 330, -330])
@pytest.mark.parametrize("speck", [0.0, 1e-310])
def test_units_of_a_variable_make_nothing_singular(power, speck):
    """As that of the coefficients of a regression is beside residuals of size 1."""
    unit = np.ldexp(1.0, [0, 0, power])
    K = np.block([[H, B.T], [B, np.zeros((2, 2))]])
    a, v = np.split(np.linalg.solve(K, [1.0, -2.0, 0.5, 0.7, -0.1]), [3])
    f, g = np.array([1.0, -2.0, 0.5]) * unit, np.array([0.7, -0.1])
    system = Saddle.of(H * unit[:, None] * unit + speck * (H == 0), B * unit)
    found, multiplier, off = system.solve(f, g)
    assert system.null is None
    assert off == 0.0
    np.testing.assert_allclose(found * unit, a, rtol=1e-10)
    np.testing.assert_allclose(multiplier, v, rtol=1e-10)
