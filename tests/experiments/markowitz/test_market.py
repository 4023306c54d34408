import numpy as np
import pytest

from lpgd.experiments.markowitz.market import Market


@pytest.mark.parametrize("seed", range(5))
def test_markets_are_plausible(seed):
    market = Market.draw(12, np.random.default_rng(seed))
    premium, risk = 12 * market.mean, np.sqrt(12 * np.diag(market.return_covariance))
    assert np.all((premium > 0) & (premium < 0.2))
    assert np.all((risk > 0.02) & (risk < 0.35))
    assert risk[:3].max() < risk[3:].min()  # bonds come first
    assert np.linalg.eigvalsh(market.covariance).min() > 0


def test_moments_are_those_of_the_samples():
    market = Market.draw(4, np.random.default_rng(0))
    sample = market.sample((200_000,), np.random.default_rng(1))
    error = np.sqrt(np.diag(market.return_covariance) / len(sample))
    assert np.all(np.abs(sample.mean(axis=0) - 1 - market.mean) < 5 * error)
    np.testing.assert_allclose(
        np.cov(sample, rowvar=False), market.return_covariance, rtol=0.05, atol=1e-5
    )


def test_a_seed_decides_market_and_samples():
    markets = [Market.draw(3, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    samples = [market.sample((2, 5), np.random.default_rng(2)) for market in markets]
    assert samples[0].shape == (2, 5, 3)
    np.testing.assert_array_equal(samples[0], samples[1])
    assert not np.array_equal(samples[0], samples[2])
