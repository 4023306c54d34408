"""Derivatives of planted QPs and LPs in closed form: the implicit function theorem, dense."""

from collections.abc import Mapping

import numpy as np

from tests.fuzz.elements import Element
from tests.fuzz.models import Model
from tests.fuzz.polyhedra import held_rows

Arrays = Mapping[str, np.ndarray]
OFF = 1e-3  # relative error that is none
STEP = 1e-6
SIDE = {"A": "b", "G": "h"}


def gradients(element: Element, cotangents: Arrays) -> dict[str, np.ndarray]:
    """Gradients of a loss in the data, in fair units.

    Parameters
    ----------
    element : Element
        Smooth.
    cotangents : mapping from output to array
        Of x, y, z, z_box, in fair units; missing ones are zero.
    """
    data, point = element.origin, element.point
    assert point is not None
    n, x = len(point["x"]), point["x"]
    held = held_rows(data, point)
    R = np.array([row for _, _, row, _ in held]).reshape(-1, n)
    pull = np.array([_pull(name, i, cotangents) for name, i, _, _ in held])
    P = data.get("P", np.zeros((n, n)))
    K = np.block([[0.5 * (P + P.T), R.T], [R, np.zeros((len(R), len(R)))]])
    dx = cotangents.get("x", np.zeros(n))
    both = np.linalg.solve(K, -np.concatenate([dx, pull.reshape(-1)]))
    a, v = both[:n], both[n:]
    found = {k: np.zeros_like(value) for k, value in data.items()}
    found["q"] = a
    if "P" in found:
        found["P"] = 0.5 * (np.outer(a, x) + np.outer(x, a))
    for (name, i, _, y), move in zip(held, v, strict=True):
        if name in SIDE:
            found[name][i] = y * a + move * x
            found[SIDE[name]][i] = -move
        else:
            found[name][i] = move if name == "lb" else -move
    return found


def of_model(model: Model, element: Element, cotangents: Arrays) -> dict[str, np.ndarray] | None:
    """Gradients of a loss in the parameters of a CVXPY problem, by differences of its solution.

    None where the slopes to the two sides do not agree.
    """
    found = {k: np.zeros(v.shape) for k, v in element.origin.items()}
    at = _loss(model, element.origin, cotangents)
    for name, values in element.origin.items():
        for place in np.ndindex(values.shape):
            slopes = []
            for step in (STEP, -STEP):
                moved = np.array(values)
                moved[place] += step
                slopes.append(
                    (_loss(model, {**element.origin, name: moved}, cotangents) - at) / step
                )
            if abs(slopes[0] - slopes[1]) > 1e-3 * max(np.abs(slopes).max(), 1e-2):
                return None
            found[name][place] = sum(slopes) / 2
        if model.signs.get(name) == "symmetric":
            found[name] = 0.5 * (found[name] + found[name].T)
    return found


def _loss(model: Model, values: Arrays, cotangents: Arrays) -> float:
    outputs = model.answer(values)
    return float(sum((outputs[k] * v).sum() for k, v in cotangents.items()))


def _pull(name: str, i: int, cotangents: Arrays) -> float:
    """Cotangent of the multiplier of a held row."""
    output, sign = {"A": ("y", 1), "G": ("z", 1), "lb": ("z_box", -1), "ub": ("z_box", 1)}[name]
    return sign * float(cotangents[output][i]) if output in cotangents else 0.0


def differences(found: Arrays, expected: Arrays, names: frozenset[str], scale: float) -> list[str]:
    """Gradients that are off, with by how much.

    Parameters
    ----------
    names : frozenset of str
        Those to compare.
    scale : float
        Size of the cotangents.
    """
    size = max((float(np.abs(expected[k]).max(initial=0.0)) for k in expected), default=0.0)
    bad = list[str]()
    for name in sorted(names & set(found)):
        error = float(np.abs(found[name] - expected[name]).max(initial=0.0))
        if not error <= OFF * max(size, 1e-2 * scale):
            bad.append(f"d{name} off by {error / max(size, 1e-2 * scale):.1e}")
    return bad
