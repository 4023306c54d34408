"""What every problem family must fulfil, checked without any solver."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lpgd.core.params import Param, Params
from lpgd.core.problem import Problem
from lpgd.core.public import public
from lpgd.core.solution import FloatArray, Solution, Status
from lpgd.core.tilt import Term, Tilt
from lpgd.testing.planting import Program
from lpgd.testing.strategies import programs, seeds, tilts

several = settings(suppress_health_check=[HealthCheck.differing_executors])


@public("lpgd.testing")
class ProblemBattery:
    """Inherit, name the class ``Test...`` and set ``cases``.

    Attributes
    ----------
    cases : strategy of objects with ``problem``, ``params`` and ``solution`` (B rows)
    tolerance : float
    curved : bool
        Whether the family takes losses with a curvature, ``Tilt.curve``.
    augmented : bool
        Whether it takes a proximal term, ``Tilt.rho``.
    """

    cases: st.SearchStrategy[Program] = programs()
    tolerance: float = 1e-9
    curved: bool = True
    augmented: bool = True

    @several
    @given(st.data())
    def test_grad_is_the_derivative_of_the_lagrangian(self, data: Any) -> None:
        """In every argument, for weighted terms and any grouping of the rows."""
        case, rng = data.draw(self.cases), data.draw(seeds)
        problem, params = case.problem, case.params
        tilt = data.draw(tilts(case, curved=self.curved, augmented=self.augmented))
        terms = [
            Term(rng.normal(size=len(tilt)), _point(problem, params, tilt, rng), tilt)
            for _ in range(2)
        ]
        single = np.arange(len(tilt))[:, None]
        for name, param in params.items():
            way = np.where(np.isfinite(param.values), rng.normal(size=param.values.shape), 0.0)
            each = problem.grad(params, terms, {name: single})[name]
            found = (each * way[param.index[tilt.rows]]).reshape(len(tilt), -1).sum(axis=1)
            expected = self._change(problem, params, terms, name, way)
            np.testing.assert_allclose(found, expected, rtol=1e-7, atol=self.tolerance)
            together = problem.grad(params, terms, {name: single.T})[name]
            np.testing.assert_allclose(together, each.sum(axis=0)[None], atol=self.tolerance)

    @staticmethod
    def _change(
        problem: Problem, params: Params, terms: list[Term], name: str, way: FloatArray
    ) -> FloatArray:
        # the Lagrangian is linear in each argument: any step will do
        total = np.zeros(len(terms[0].weight))
        for sign in (1.0, -1.0):
            moved = {**params, name: Param(params[name].values + sign * way, params[name].index)}
            for term in terms:
                total += 0.5 * sign * term.weight * problem.lagrangian(moved, term.point, term.tilt)
        return total

    @several
    @given(st.data())
    def test_tilt_adds_the_loss_and_the_proximal_term(self, data: Any) -> None:
        """Up to a constant, and so does ``lagrangian`` when it is given the tilt."""
        case, rng = data.draw(self.cases), data.draw(seeds)
        problem, params = case.problem, case.params
        tilt = data.draw(tilts(case, curved=self.curved, augmented=self.augmented))
        tilted, tilted_params = problem.tilt(params, tilt)
        still = replace(tilt, t=0 * tilt.t, rho=0 * tilt.rho)
        own = replace(still, rows=np.arange(len(tilt)))
        constants: list[FloatArray] = []
        for _ in range(3):
            z = _point(problem, params, tilt, rng)
            gap = ((z.x - tilt.anchor) ** 2).sum(axis=1)
            loss = (tilt.dx * z.x).sum(axis=1) + (tilt.dy * z.y).sum(axis=1)
            if tilt.curve is not None and tilt.center is not None:
                loss += 0.5 * (tilt.curve * (z.x - tilt.center) ** 2).sum(axis=1)
            added = tilt.t * loss + 0.5 * tilt.rho * gap
            before = problem.lagrangian(params, z, still)
            np.testing.assert_allclose(
                problem.lagrangian(params, z, tilt), before + added, atol=self.tolerance
            )
            after = tilted.lagrangian(tilted_params, z, own)
            constants.append(after - before - added)
        for constant in constants[1:]:
            np.testing.assert_allclose(constant, constants[0], atol=self.tolerance)

    @several
    @given(st.data())
    def test_check_names_the_unfit(self, data: Any) -> None:
        """Good data pass; the elements that use a NaN are listed, and no others."""
        case = data.draw(self.cases)
        params, unfit = case.problem.check(case.params, 2.0**-52)
        assert not unfit
        name = data.draw(st.sampled_from(sorted(params)))
        values = params[name].values.copy()
        values[-1].flat[0] = np.nan
        index = params[name].index
        spoilt = {**params, name: Param(values, index)}
        _, unfit = case.problem.check(spoilt, 2.0**-52)
        assert sorted(unfit) == np.flatnonzero(index == len(values) - 1).tolist()
        assert all(unfit.values())


def _point(problem: Problem, params: Params, tilt: Tilt, rng: np.random.Generator) -> Solution:
    """Any point whose multipliers of infinite bounds are zero."""
    size = len(tilt)
    x, y = rng.normal(size=(size, problem.n)), rng.normal(size=(size, problem.m))
    status = np.full(size, Status.OPTIMAL, dtype=np.int8)
    for i in range(problem.m):
        alone = Solution(0 * x, np.where(np.arange(problem.m) == i, y, 0.0), status)
        y[~np.isfinite(problem.lagrangian(params, alone, tilt)), i] = 0.0
    return Solution(x, y, status)
