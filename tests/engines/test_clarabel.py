import numpy as np

from lpgd import ClarabelEngine, MoreauEngine
from tests.conic_programs import KINDS, plant
from tests.engines.conic_battery import ConicBattery


class TestClarabel(ConicBattery):
    engine = ClarabelEngine()


def test_agrees_with_moreau():
    for cones in KINDS.values():
        case = plant(cones, 5, 2)
        found, other = (
            engine.solve(case.problem, case.params).solution
            for engine in (ClarabelEngine(), MoreauEngine())
        )
        np.testing.assert_allclose(found.x, other.x, atol=2e-4)
        np.testing.assert_allclose(found.y, other.y, atol=2e-4)
