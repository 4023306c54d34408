import lpgd
from lpgd.testing import EngineBattery


class TestPiqpEngine(EngineBattery):
    engine = lpgd.PiqpEngine()
    families = ("QP", "LP")
    rounding = 1e-9
