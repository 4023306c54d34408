from lpgd import ScsEngine
from lpgd.testing.cone_battery import ConeBattery


class TestScs(ConeBattery):
    engine = ScsEngine()


class TestKeptFactorization(ConeBattery):
    engine = ScsEngine(acceleration_lookback=0, adaptive_scale=False)
