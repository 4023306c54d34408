from lpgd import HighsEngine
from lpgd.testing import EngineBattery


class TestBattery(EngineBattery):
    engine = HighsEngine()
    families = ("LP",)


class TestBatteryWithPresolve(EngineBattery):
    engine = HighsEngine(presolve=True)
    families = ("LP",)
