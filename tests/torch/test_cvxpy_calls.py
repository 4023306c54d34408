"""What a call of CvxpyLayer takes and gives: batches, dtypes, copies, transforms, failures."""

import copy
import pickle
import sys
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
import torch
from torch.func import jacrev, jvp, vmap

import lpgd
from lpgd.torch import CvxpyLayer
from tests.cvxpy_programs import ball, geometric, loss, make, psd_variable, sdp
from tests.torch.test_cvxpy import layer_of, tensors

N, M = 4, 3


def program():
    """x <= 1 and A x <= b with a multiplier; A, b and q are parameters."""
    x, A, b, q = cp.Variable(N), cp.Parameter((M, N), name="A"), cp.Parameter(M), cp.Parameter(N)
    row = A @ x <= b
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x) + q @ x), [row, x <= 1])
    return problem, [A, b, q], [x, row.dual_variables[0]]


def layer(rule=None, **options):
    return CvxpyLayer(*program(), rule=rule or lpgd.LPGD(1e-3), **options)


def values(*batches, dtype=torch.float64, seed=0):
    """A, b, q with the given batch dimensions."""
    draw = torch.Generator().manual_seed(seed)
    a, b, c = batches or ((),) * 3
    A, q = (torch.randn(*s, generator=draw, dtype=torch.float64) for s in ((*a, M, N), (*c, N)))
    bound = 0.2 + torch.rand(*b, M, generator=draw, dtype=torch.float64)
    return [t.to(dtype).requires_grad_() for t in (A, bound, 2 * q)]


def near(got, want, tolerance=1e-8):
    torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


BATCHES = [
    ((), (), ()), ((5,), (), ()), ((), (5,), ()), ((5,), (5,), (5,)), ((1,), (5,), ()),
    ((2, 1), (3,), ()), ((2, 3), (2, 3), (3,)), ((), (), (2, 1, 3)), ((1,), (1,), (1,)),
]  # fmt: skip


@pytest.mark.parametrize("batches", BATCHES, ids=str)
def test_batches_broadcast_and_equal_a_loop(batches):
    own, data = layer(), values(*batches)
    shape = np.broadcast_shapes(*batches)
    x, y = own(*data)
    assert (x.shape, y.shape) == ((*shape, N), (*shape, M))
    gradients = torch.autograd.grad(loss([x, y]), data)
    cores = ((M, N), (M,), (N,))
    whole = [d.expand(*shape, *core) for d, core in zip(data, cores, strict=True)]
    rows = [own(*(d[index] for d in whole)) for index in np.ndindex(*shape)]
    loop = [torch.stack(parts).reshape(*shape, -1) for parts in zip(*rows, strict=True)]
    near([x, y], loop)
    near(gradients, torch.autograd.grad(loss(loop), data), 1e-6)


@pytest.mark.parametrize("maker", [None, sdp, ball], ids=["QP", "sdp", "ball"])
def test_answers_do_not_depend_on_the_batch(maker):
    """Bit for bit: another order, and a part of the batch."""
    if maker is None:
        own, data = layer(), values((6,), (6,), (6,))
    else:
        case = make(maker)
        own = layer_of(case, rule=lpgd.LPGD(1e-3))
        data = [(t + 0.01 * torch.arange(6.0).reshape(6, *[1] * t.ndim)) for t in tensors(case)]
    for chosen in ([3, 1, 5, 0, 2, 4], [4, 2]):
        results = []
        for rows in (range(6), chosen):
            leaves = [d.detach()[list(rows)].requires_grad_() for d in data]
            outputs = own(*leaves)
            row_losses = [loss([output[i] for output in outputs]) for i in range(len(rows))]
            gradients = torch.autograd.grad(sum(row_losses), leaves)
            results.append([*outputs, *gradients])
        for whole, part in zip(*results, strict=True):
            near(whole[chosen], part, 0)


@pytest.mark.parametrize("seed", range(8))
def test_a_gradient_alone_is_that_in_company(seed):
    rng = np.random.default_rng(seed)
    x, g = cp.Variable(3), cp.Parameter(5)
    cost = cp.sum_squares(rng.normal(size=(5, 3)) @ x - g) + cp.norm(x)
    layer = CvxpyLayer(cp.Problem(cp.Minimize(cost)), [g], [x], solver="clarabel")
    data = torch.tensor(rng.normal(size=(3, 5)))
    together, alone = data.clone().requires_grad_(), data[:1].clone().requires_grad_()
    for given in (together, alone):
        layer(given)[0].sum().backward()
    assert torch.equal(together.grad[:1], alone.grad)


def test_an_empty_batch_gives_empty_results_and_gradients():
    data = values((0,), (), (0,))
    x, y = layer()(*data)
    assert (x.shape, y.shape) == ((0, N), (0, M))
    gradients = torch.autograd.grad(x.sum() + y.sum(), data)
    assert [g.shape for g in gradients] == [d.shape for d in data]
    assert gradients[1].count_nonzero() == 0


def test_what_does_not_depend_on_the_batch_is_set_up_once():
    own, data = layer(), values((), (64,), (64,))
    own(*data)[0].square().sum().backward()
    assert (own.stats.set_ups, own.stats.solves) == (1, 64)
    each = layer()
    each(*values((64,), (64,), (64,)))
    assert each.stats.set_ups == 64


def test_expanded_parameters_are_shared():
    A, b, q = values((), (), (8,))
    own = layer()
    near(own(A.expand(8, M, N), b, q)[0], own(A, b, q)[0], 0)
    assert own.stats.set_ups == 2


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_any_floating_dtype_comes_back(dtype, tolerance):
    exact = values((3,), (), (3,), dtype=dtype)
    x, y = layer()(*exact)
    assert x.dtype == y.dtype == dtype
    (x.sum() + y.sum()).backward()
    assert [d.grad.dtype for d in exact] == [dtype] * 3
    doubles = [d.detach().double() for d in exact]
    near(x.double(), layer()(*doubles)[0], tolerance)


def test_mixed_dtypes_are_promoted():
    A, b, q = values()
    x, _ = layer()(A.float(), b, q.float())
    assert x.dtype == torch.float64
    x.sum().backward()
    assert b.grad.dtype == torch.float64


@pytest.mark.parametrize("solved", [False, True])
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
@pytest.mark.parametrize("maker", [ball, sdp, geometric, None])
def test_copies_work_alike(maker, duplicate, solved):
    if maker is None:
        own, data = layer(solver_args={"time_limit": 100.0}), values((2,), (), (2,))
    else:
        case = make(maker)
        own, data = layer_of(case), tensors(case)
    if solved:
        outputs = own(*data)
    twin = duplicate(own)
    near(twin(*data), own(*data), 0)
    if solved:
        near(outputs, own(*data), 0)
    assert twin.stats is not own.stats


def test_vmap_equals_the_batch():
    own, data = layer(), values((5,), (5,), (5,))
    near(vmap(own)(*data), own(*data))
    near(vmap(own, in_dims=(None, 0, None))(data[0][0], data[1], data[2][0]),
         own(data[0][0], data[1], data[2][0]))  # fmt: skip


@pytest.mark.filterwarnings("ignore::lpgd.StuckWarning")  # x_2 stays at its bound
def test_jacobians_have_the_rows_of_single_gradients():
    own, data = layer(), values()
    found = jacrev(lambda q: own(data[0], data[1], q)[0])(data[2])
    x = own(*data)[0]
    rows = [torch.autograd.grad(entry, data[2], retain_graph=True)[0] for entry in x]
    near(found, torch.stack(rows))


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # as torch loads forward mode
def test_forward_mode_is_the_difference_of_solutions():
    own, data = layer(), [d.detach() for d in values((3,), (), (3,))]
    ways = [torch.cos(torch.arange(d.numel(), dtype=d.dtype)).reshape(d.shape) for d in data]
    found, moved = jvp(own, tuple(data), tuple(ways))
    near(found, own(*data), 0)
    ends = [own(*(d + t * way for d, way in zip(data, ways, strict=True))) for t in (1e-5, -1e-5)]
    for got, high, low in zip(moved, *ends, strict=True):
        near(got, (high - low) / 2e-5, 1e-5)


def test_jacobians_of_symmetric_matrices_are_symmetric():
    case = make(psd_variable)
    own = layer_of(case, rule=lpgd.LPGD(1e-3))
    found = jacrev(lambda M: own(M)[0])(*tensors(case))  # (3, 3, 3, 3)
    near(found, found.swapaxes(0, 1), 1e-6)


@pytest.mark.parametrize("rule", [None, lpgd.Exact(), lpgd.LPGD(1.0, rho=0.1)])
def test_nothing_is_kept_without_gradients(rule):
    own, data = layer(rule), values((3,), (), ())
    with torch.no_grad():
        x, _ = own(*data)
    assert not x.requires_grad
    near(x, own(*data)[0].detach(), 0)


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # the compiler's own
def test_compiled_models_break_their_graph():
    own, data = layer(), values((2,), (), (2,))
    compiled = torch.compile(lambda q: own(*data[:2], 2 * q)[0].sum(), backend="eager")
    near(compiled(data[2]), own(*data[:2], 2 * data[2])[0].sum(), 0)


def test_second_derivatives_raise():
    data = values()
    x, _ = layer()(*data)
    (gradient,) = torch.autograd.grad(x.square().sum(), data[2], create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        gradient.sum().backward()


def test_warm_starts_give_the_same_answers():
    own, data = layer(solver="MOREAU"), values((3,), (3,), (3,))
    cold = own(*data)
    near(own(*data, warm_start=True), cold, 1e-6)
    near(own(*values((2,), (2,), (2,)), warm_start=True)[0],
         layer(solver="MOREAU")(*values((2,), (2,), (2,)))[0], 0)  # fmt: skip
    with pytest.raises(ValueError, match="warm_start=True is only supported with solver='MOREAU'"):
        layer()(*data, warm_start=True)


def test_warm_starts_save_work():
    """In six iterations a cold start does not get there, but a start at the solution does."""
    own, data = layer(solver="MOREAU"), values((3,), (3,), (3,))
    want, few = own(*data), {"max_iters": 6}
    with pytest.raises(lpgd.SolverError, match="iteration limit"):
        own(*data, solver_args=few)
    near(own(*data, solver_args=few, warm_start=True), want, 1e-6)


def infeasible():
    """x <= 1 with x_0 >= 2 in the second of three elements."""
    A, b, q = (d.detach() for d in values((3,), (), (3,)))
    A[1, 0] = torch.tensor([-1.0, 0, 0, 0])
    b = b.expand(3, M).clone()
    b[1, 0] = -2.0
    return [d.requires_grad_() for d in (A, b, q)]


@pytest.mark.parametrize("engine", ["daqp", "moreau", "clarabel"])
def test_one_infeasible_element_is_marked_and_the_others_count(engine):
    data, own = infeasible(), layer(solver=engine, on_failure="nan")
    with pytest.warns(lpgd.SolverWarning, match=r"batch index 1: infeasible"):
        x, y = own(*data)
    assert x.isnan().all(dim=1).tolist() == y.isnan().all(dim=1).tolist() == [False, True, False]
    loss([x[[0, 2]], y[[0, 2]]]).backward()
    rest = [d.detach()[[0, 2]].requires_grad_() for d in data]
    loss(layer(solver=engine)(*rest)).backward()
    for part, whole in zip(rest, data, strict=True):
        near(whole.grad[[0, 2]], part.grad, 1e-6)
        assert whole.grad[1].count_nonzero() == 0


def test_failures_raise_and_name_their_elements():
    with pytest.raises(lpgd.SolverError, match=r"batch index 1: infeasible") as caught:
        layer()(*infeasible())
    assert caught.value.indices == (1,)
    assert caught.value.statuses == (lpgd.Status.INFEASIBLE,)


def test_failures_are_caught_as_cvxpylayers_users_catch_them(diffcp):
    with pytest.raises(diffcp.SolverError, match="batch index 1: infeasible") as caught:
        layer()(*infeasible())
    assert isinstance(caught.value, lpgd.SolverError)
    with pytest.raises(lpgd.SolverError) as later:
        layer()(*infeasible())
    assert type(later.value) is type(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is lpgd.SolverError
    assert (again.indices, str(again)) == (caught.value.indices, str(caught.value))


def test_failures_are_ours_alone_where_diffcp_is_not_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "diffcp", raising=False)
    with pytest.raises(lpgd.SolverError) as caught:
        layer()(*infeasible())
    assert type(caught.value) is lpgd.SolverError


def test_bad_values_are_named_by_their_parameter():
    A, b, q = values((3,), (), ())
    with torch.no_grad():
        A[2, 0, 0] = torch.nan
    with pytest.raises(lpgd.SolverError, match="batch index 2: parameter A has a NaN"):
        layer()(A, b, q)


def test_parameters_without_a_logarithm_are_marked():
    x, p = cp.Variable(pos=True), cp.Parameter(pos=True)
    own = CvxpyLayer(cp.Problem(cp.Minimize(x), [x >= p]), [p], [x], gp=True, on_failure="nan")
    value = torch.tensor([-1.0, 2.0, 0.0], dtype=torch.float64, requires_grad=True)
    with pytest.warns(lpgd.SolverWarning, match="index 0: the logarithm of parameter"):
        (found,) = own(value)
    near(found[1], torch.tensor(2.0, dtype=torch.float64), 1e-6)
    found[1].backward()
    near(value.grad, torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64), 1e-4)


def test_indefinite_curvature_is_bad_input():
    x, P = cp.Variable(2), cp.Parameter((2, 2), PSD=True)
    own = CvxpyLayer(cp.Problem(cp.Minimize(cp.quad_form(x, P) + cp.sum(x))), [P], [x])
    with pytest.raises(lpgd.SolverError, match=r"made of parameter .*, has a negative"):
        own(torch.diag(torch.tensor([1.0, -1.0])))


def test_rounding_of_a_coarse_dtype_is_no_curvature():
    x, P, q = cp.Variable(3), cp.Parameter((3, 3), PSD=True), cp.Parameter(3)
    own = CvxpyLayer(cp.Problem(cp.Minimize(cp.quad_form(x, P) + q @ x), [x >= -1]), [P, q], [x])
    root = torch.tensor([[1.0, 1 / 3, 0.7]])
    (found,) = own(root.T @ root / 3, torch.ones(3, dtype=torch.float64))
    assert found.dtype == torch.float64


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda A, b, q: (A, b), "A tensor must be provided for each CVXPY parameter"),
        (lambda A, b, q: (A[:, :2], b, q), "Invalid parameter shape for parameter 0 .A."),
        (lambda A, b, q: (A[0], b, q), "Invalid parameter dimensionality for parameter 0 .A."),
        (lambda A, b, q: (A.expand(3, M, N), b.expand(2, M), q), "Inconsistent batch sizes"),
        (lambda A, b, q: (A.long(), b, q), "real floating dtype, got torch.int64"),
        (lambda A, b, q: (A, None, q), "must be a torch.Tensor, got NoneType"),
        (
            lambda A, b, q: (A.to_sparse(), b, q),
            "parameter 0 .A. must be dense, got a sparse argument",
        ),
    ],
)
def test_wrong_arguments_are_named(change, message):
    with pytest.raises(lpgd.StructureError, match=message):
        layer()(*change(*values()))


def test_a_problem_without_parameters_has_one_solution():
    x = cp.Variable(2)
    (found,) = CvxpyLayer(cp.Problem(cp.Minimize(cp.sum_squares(x - 1))), [], [x])()
    near(found, torch.ones(2))


def test_outputs_may_repeat_and_be_none():
    problem, parameters, (x, _) = program()
    first, second = CvxpyLayer(problem, parameters, [x, x], rule=lpgd.LPGD(1e-3))(*values())
    near(first, second, 0)
    assert CvxpyLayer(problem, parameters, [])(*values()) == ()


class Exacting:
    """Clarabel, held to what no solution meets."""

    name, inner = "exacting", lpgd.ClarabelEngine()
    capabilities = replace(inner.capabilities, tolerance=-1.0)

    def solve(self, *arguments, **options):
        return self.inner.solve(*arguments, **options)


def test_inaccurate_solutions_are_accepted_on_request():
    x, p = cp.Variable(3), cp.Parameter(3)
    problem = cp.Problem(cp.Minimize(p @ x), [cp.norm(x) <= 1])
    value = torch.tensor([1.0, 2.0, -2.0], dtype=torch.float64)
    with pytest.raises(lpgd.SolverError, match="accept_inexact=True"):
        CvxpyLayer(problem, [p], [x], solver=Exacting())(value)
    layer = CvxpyLayer(problem, [p], [x], solver=Exacting(), accept_inexact=True)
    torch.testing.assert_close(layer(value)[0], -value / 3, atol=1e-6, rtol=0)
    assert layer.stats.inexact == 1
