import numpy as np

from lpgd import Cones, ScsEngine
from lpgd.core.params import shared
from lpgd.core.solution import Status
from lpgd.engines.cones.solver import Request
from lpgd.families.conic.conic import Conic
from lpgd.testing.cone_battery import ConeBattery


class TestScs(ConeBattery):
    engine = ScsEngine()


class TestKeptFactorization(ConeBattery):
    engine = ScsEngine(acceleration_lookback=0, adaptive_scale=False)


def test_matrices_that_scs_cannot_factorize_are_a_numerical_failure():
    conic = Conic(2, Cones(nonneg=2))
    inf = np.array([[np.inf, 0.0], [0.0, 1.0]])  # as units make it of 1e300
    params = {"P": np.eye(2), "q": [1.0, 1.0], "A": inf, "b": [1.0, 1.0]}
    data = {k: shared(np.array(v), 1) for k, v in params.items()}
    found = ScsEngine(polish=False).load(conic, data, Request(1e-9))
    assert found.solve(data, np.zeros(1, int), None).status == [Status.NUMERICAL]
