"""The user's variables as linear maps of the solution of CVXPY's cone program."""

from importlib import import_module
from typing import Any

import numpy as np
from scipy import sparse

from lpgd.core.errors import StructureError
from lpgd.core.solution import FloatArray, IntArray
from lpgd.families.conic.cones import triangle
from lpgd.families.cvxpy.affine import Linear
from lpgd.families.cvxpy.model import Output
from lpgd.families.cvxpy.tensors import Rows


def primal_output(program: Any, variable: Any, final: int) -> Output:
    """A variable of the problem, which became the one with the id ``final``.

    CVXPY knows a symmetric variable by its upper triangle, a diagonal one by its diagonal, a sparse
    one by its entries.
    """
    start = program.var_id_to_col[final]
    size = program.id_to_var[final].size
    reduction: Any = import_module("cvxpy.reductions.cvx_attr2constr")
    # filling in the numbers 1, 2, ... shows where each entry comes from; 0 comes from nowhere
    full: Any = reduction.recover_value_for_leaf(variable, np.arange(1.0, size + 1), project=False)
    full = full.toarray() if hasattr(full, "toarray") else full
    source: IntArray = np.reshape(full, variable.shape, order="F").astype(np.intp).ravel()
    entries = np.flatnonzero(source)
    picked = source[entries] - 1 + start
    matrix = sparse.csr_array(
        (np.ones(len(entries)), (entries, picked)), shape=(len(source), program.x.size)
    )
    return Output(tuple(variable.shape), Linear(matrix))


def dual_output(rows: Rows, constraint: Any, position: int, final: int) -> Output:
    """A dual variable of a constraint, which became the one with the id ``final``."""
    variable = constraint.dual_variables[position]
    if final not in rows.blocks:
        raise StructureError(f"the dual variable of {constraint} does not survive compilation")
    block = rows.blocks[final]
    source, scale = _layout(constraint, position, block.stop - block.start)
    matrix = sparse.csr_array(
        (scale.ravel(), (np.arange(source.size), rows.places[block][source.ravel()])),
        shape=(source.size, len(rows.places)),
    )
    return Output(tuple(variable.shape), Linear(matrix), dual=True)


def _layout(constraint: Any, position: int, size: int) -> tuple[IntArray, FloatArray]:
    """Row within its constraint, and factor, of each entry of a dual variable."""
    shape = tuple(constraint.dual_variables[position].shape)
    every = np.arange(size)
    kind = type(constraint).__name__
    if kind == "PSD":
        return _symmetric(shape, every)
    if kind == "SOC":
        cones = every.reshape(-1, constraint.cone_sizes()[0])
        part = cones[:, 0] if position == 0 else cones[:, 1:]
        part = part.T if constraint.axis == 0 else part
        return part.reshape(shape), np.ones(shape)
    if kind in ("ExpCone", "PowCone3D"):
        return every.reshape(-1, 3)[:, position].reshape(shape, order="F"), np.ones(shape)
    if int(np.prod(shape)) != size:
        raise StructureError(f"dual variables of {kind} constraints are not supported")
    return every.reshape(shape, order="F"), np.ones(shape)


def _symmetric(shape: tuple[int, ...], every: IntArray) -> tuple[IntArray, FloatArray]:
    if len(shape) != 2:
        raise StructureError("dual variables of batched PSD constraints are not supported")
    row, col, factor = triangle(shape[0])
    source, scale = np.zeros(shape, dtype=np.intp), np.ones(shape)
    for i, j in ((row, col), (col, row)):
        source[i, j], scale[i, j] = every, 1 / factor
    return source, scale
