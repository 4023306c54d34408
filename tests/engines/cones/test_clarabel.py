import numpy as np

from lpgd import ClarabelEngine, MoreauEngine
from lpgd.testing.cone_battery import ConeBattery
from lpgd.testing.cone_programs import KINDS, plant


class TestClarabel(ConeBattery):
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
