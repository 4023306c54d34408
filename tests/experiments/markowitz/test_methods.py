from lpgd.experiments.markowitz.methods import AUTO, EXACT, LEARNING_RATES, METHODS


def test_every_method_has_one_tau_and_the_same_learning_rates():
    assert len({method.name for method in METHODS}) == len(METHODS)
    assert all(method.learning_rates == LEARNING_RATES for method in METHODS)
    assert all(len(method.taus) == 1 for method in METHODS if method != EXACT)


def test_average_covers_all_decades():
    taus = [m.taus[0] for m in METHODS if m.side == "average" and m not in (EXACT, AUTO)]
    assert taus == [10.0**exponent for exponent in range(-4, 5)]
    assert "average-1e-4" in {m.name for m in METHODS}
    assert "average-1e4" in {m.name for m in METHODS}
