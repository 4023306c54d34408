"""Solvers that share no code with the library's oracles: OR-tools' flows, SCIP, GLOP, CP-SAT.

Each takes costs that are multiples of 1 / GRAIN and returns the least cost, or what is said
instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from _oracle_cases import FALLING, GRAIN, NOWHERE, Array


def whole(costs: Array) -> list[int]:
    """Costs in grains."""
    return [int(c) for c in np.rint(np.asarray(costs).ravel() * GRAIN)]


def cheapest_flow(arcs: Any, costs: Array, supplies: Any) -> float | str:
    """The least cost of a flow through arcs of capacity 1."""
    from ortools.graph.python.min_cost_flow import SimpleMinCostFlow

    network = SimpleMinCostFlow()
    for (tail, head), cost in zip(arcs, whole(costs), strict=True):
        network.add_arc_with_capacity_and_unit_cost(int(tail), int(head), 1, cost)
    for node, supply in enumerate(supplies):
        network.set_node_supply(node, int(supply))
    if network.solve() != network.OPTIMAL:
        return NOWHERE
    return network.optimal_cost() / GRAIN


def program(
    name: str, costs: Array, rows: Array, low: Array, high: Array, box: Any, *, integer: bool
) -> float | str:
    """The least cost subject to low <= rows x <= high within a box; "SCIP" or "GLOP"."""
    from ortools.linear_solver import pywraplp

    solver = pywraplp.Solver.CreateSolver(name)
    infinity = solver.infinity()
    least, most = (np.broadcast_to(side, costs.shape) for side in box)
    make = solver.IntVar if integer else solver.NumVar

    def side(value: Any) -> float:
        return float(np.clip(value, -infinity, infinity))

    x = [make(side(a), side(b), "") for a, b in zip(least, most, strict=True)]
    for row, a, b in zip(rows, low, high, strict=True):
        line = solver.Constraint(side(a), side(b))
        for j in np.flatnonzero(row):
            line.SetCoefficient(x[j], float(row[j]))
    goal = solver.Objective()
    for j, cost in enumerate(costs):
        goal.SetCoefficient(x[j], float(cost))
    goal.SetMinimization()
    exact = pywraplp.MPSolverParameters()
    exact.SetDoubleParam(exact.RELATIVE_MIP_GAP, 0.0)
    status = solver.Solve(exact)
    if status == solver.OPTIMAL:
        found = np.array([v.solution_value() for v in x])
        return float(np.asarray(costs) @ (np.rint(found) if integer else found))
    if status == solver.INFEASIBLE and np.any(costs):  # GLOP's presolve says so of either
        there = program(name, 0.0 * costs, rows, low, high, box, integer=integer)
        return NOWHERE if isinstance(there, str) else FALLING
    return {solver.INFEASIBLE: NOWHERE, solver.UNBOUNDED: FALLING}.get(status, f"status {status}")


def circuits(
    nodes: int, edges: Any, costs: Array, routes: tuple[Array, float, int, bool] | None = None
) -> float | str:
    """The cheapest tour, or with (demands, capacity, vehicles, round trips) the cheapest routes."""
    from ortools.sat.python import cp_model

    model, total, arcs = cp_model.CpModel(), [], []
    for (i, j), cost in zip(edges, whole(costs), strict=True):
        there, back = model.new_bool_var(""), model.new_bool_var("")
        arcs += [(i, j, there), (j, i, back)]
        total += [cost * there, cost * back]
        if nodes > 2 and not (i == 0 and routes is not None and routes[3]):
            model.add_at_most_one(there, back)
    if routes is None:
        model.add_circuit(arcs)
    else:
        demands, capacity, vehicles, alone = routes
        model.add_multiple_circuit(arcs)
        loads = [model.new_int_var(0, int(capacity), "") for _ in range(nodes)]
        for tail, head, used in arcs:
            if head:
                before = loads[tail] if tail else 0
                own = int(demands[head - 1])
                model.add(loads[head] == before + own).only_enforce_if(used)
        model.add(sum(used for tail, _, used in arcs if tail == 0) <= vehicles)
        if not alone and nodes == 2:
            return NOWHERE
    model.minimize(sum(total))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    status = solver.solve(model)
    return solver.objective_value / GRAIN if status == cp_model.OPTIMAL else NOWHERE
