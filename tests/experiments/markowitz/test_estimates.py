import numpy as np
import torch

from lpgd.experiments.markowitz.estimates import shrink, symmetric_root, trailing


def returns(months=30, assets=3, seed=0):
    return np.random.default_rng(seed).lognormal(0.01, 0.05, size=(months, assets))


def test_root_of_a_covariance():
    covariance = np.cov(returns(), rowvar=False)
    root = symmetric_root(covariance)
    np.testing.assert_allclose(root @ root, covariance, atol=1e-15)
    np.testing.assert_allclose(root, root.T, atol=1e-15)
    assert np.linalg.eigvalsh(root).min() >= 0


def test_root_of_a_singular_covariance():
    covariance = np.ones((3, 3))
    np.testing.assert_allclose(symmetric_root(covariance) @ symmetric_root(covariance), covariance)


def test_trailing_estimates_are_those_of_the_window():
    past = returns()
    estimates = trailing(past, window=12)
    assert estimates.mean[:12].isnan().all()
    np.testing.assert_allclose(estimates.mean[20], past[8:20].mean(axis=0) - 1)
    np.testing.assert_allclose(estimates.covariance[20], np.cov(past[8:20], rowvar=False))


def test_trailing_estimates_do_not_look_ahead():
    past = returns()
    changed = past.copy()
    changed[20:] *= 3
    before, after = trailing(past, 12), trailing(changed, 12)
    assert torch.equal(before.mean[12:21], after.mean[12:21])
    assert torch.equal(before.covariance[12:21], after.covariance[12:21])
    assert not torch.equal(before.mean[21], after.mean[21])


def test_shrinking_keeps_the_variances():
    covariance = torch.from_numpy(np.cov(returns(), rowvar=False))
    assert torch.equal(shrink(covariance, 0.0), covariance)
    assert torch.equal(shrink(covariance, 1.0), torch.diag(torch.diag(covariance)))
    half = shrink(covariance, 0.5)
    torch.testing.assert_close(torch.diag(half), torch.diag(covariance))
    torch.testing.assert_close(half[0, 1], covariance[0, 1] / 2)
