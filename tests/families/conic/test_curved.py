import numpy as np
import pytest

from lpgd.families.conic.curved import exponential, power

POINTS = np.array(
    [
        [0.0, 1.0, 2.0],  # inside
        [-1.0, 0.0, 1.0],  # on a face
        [-1.0, -2.0, 3.0],  # beyond a face
        [-1.0, -2.0, -3.0],
        [1.0, -1.0, -1.0],  # in the polar
        [0.0, -1.0, -1.0],
        [0.0, 0.0, 0.0],
        [1.0, 1.0, 1.0],  # beyond the smooth boundary
        [1e-3, -1.0, 1.0],  # its tip: a ratio u/v of a thousand
        [-1.0, 1e-3, -1.0],
        [30.0, 1.0, 1e9],
    ]
)


def on_cone(p, **options):
    v = -p[None]
    y, spectrum = exponential(v, p[None], **options)
    return (y - v)[0], y[0], spectrum


def test_the_exponential_cone_in_each_region():
    z, y, spectrum = on_cone(POINTS, derive=True)
    np.testing.assert_allclose(z[[0, 1]], POINTS[[0, 1]])
    np.testing.assert_allclose(z[2], [-1, 0, 3])
    np.testing.assert_allclose(z[3], [-1, 0, 0])
    np.testing.assert_allclose(z[[4, 5, 6]], 0)
    np.testing.assert_allclose(z[[8, 9]], [[0, 0, 1], [-1, 1e-3, 0]], atol=2e-3)
    for point, dual in zip(z, y, strict=True):
        assert abs(point @ dual) < 1e-9 * (1 + np.abs(point).max())
        if point[1] > 1e-3:
            assert point[1] * np.exp(point[0] / point[1]) <= point[2] * (1 + 1e-9)
    assert spectrum[1].shape == (1, len(POINTS), 3)
    assert np.isfinite(spectrum[0]).all()


def test_the_projection_is_the_nearest_point():
    rng = np.random.default_rng(0)
    v = rng.uniform(0.1, 2, 2000)
    u = rng.uniform(-2, 2, 2000)
    others = np.stack([u, v, v * np.exp(u / v) + rng.exponential(size=2000)], axis=1)
    for p in POINTS[:8]:
        z, _, _ = on_cone(p[None], derive=False)
        assert np.linalg.norm(others - p, axis=1).min() >= np.linalg.norm(z[0] - p) - 1e-12


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.9])
def test_the_power_cone_in_each_region(alpha):
    p = np.array([[1.0, 1, 0.5], [-1, -1, 0.1], [-1, 2, 0], [0.5, 0.2, 3], [-1, 0.5, -2]])
    y, _ = power(np.full(5, alpha), -p[None], p[None], derive=False)
    z = y[0] + p
    np.testing.assert_allclose(z[:3], [[1, 1, 0.5], [0, 0, 0], [0, 2, 0]], atol=1e-15)
    assert (z[3:, :2] > 0).all()
    edge = z[3:, 0] ** alpha * z[3:, 1] ** (1 - alpha)
    np.testing.assert_allclose(edge, np.abs(z[3:, 2]), rtol=1e-9)
    np.testing.assert_allclose((z * y[0]).sum(axis=1), 0, atol=1e-12)
