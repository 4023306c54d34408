from lpgd import ScsEngine
from tests.engines.conic_battery import ConicBattery


class TestScs(ConicBattery):
    engine = ScsEngine()


class TestKeptFactorization(ConicBattery):
    engine = ScsEngine(acceleration_lookback=0, adaptive_scale=False)
