"""Conformance batteries and strategies for authors of engines and problem families.

Needs the extra ``test``. An engine passes with three lines::

    class TestMyEngine(EngineBattery):
        engine = MyEngine()

``ConeBattery`` is the one for engines of cone programs.
"""

from lpgd.testing.cone_battery import ConeBattery
from lpgd.testing.engine_battery import EngineBattery
from lpgd.testing.optimality import violation
from lpgd.testing.planting import Program, Shape, plant, tied
from lpgd.testing.problem_battery import ProblemBattery
from lpgd.testing.strategies import programs, tilts

__all__ = [
    "ConeBattery",
    "EngineBattery",
    "ProblemBattery",
    "Program",
    "Shape",
    "plant",
    "programs",
    "tied",
    "tilts",
    "violation",
]
