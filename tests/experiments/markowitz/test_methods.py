from lpgd.experiments.markowitz.methods import LEARNING_RATES, METHODS


def test_every_method_has_one_tau_and_the_same_learning_rates():
    assert len({method.name for method in METHODS}) == len(METHODS)
    assert all(method.learning_rates == LEARNING_RATES for method in METHODS)
    assert all(len(method.taus) == (method.rule == "lpgd") for method in METHODS)


def test_average_covers_all_decades():
    plain = [m for m in METHODS if m.side == "average" and not m.rho]
    taus = [m.taus[0] for m in plain if m.taus not in ((), ("auto",))]
    assert taus == [10.0**exponent for exponent in range(-4, 5)]
    assert "average-1e-4" in {m.name for m in METHODS}
    assert "average-1e0-rho" in {m.name for m in METHODS}
