import numpy as np
import pytest
import torch
from scipy import sparse

import lpgd
from lpgd.torch import LPLayer, QPLayer, Sparse

RULE = lpgd.LPGD(1.0)


def ones(*shape, dtype=torch.float64, device=None):
    return torch.ones(shape, dtype=dtype, device=device)


def program(**changes):
    """A QP in 3 variables with 2 inequalities and 1 equality."""
    data = {
        "P": torch.eye(3, dtype=torch.float64), "q": ones(3), "G": ones(2, 3), "h": ones(2),
        "A": ones(1, 3), "b": ones(1), "lb": -ones(3), "ub": ones(3),
    }  # fmt: skip
    return data | changes


NAMES = list(program())


def refused(layer, data, message):
    with pytest.raises(lpgd.StructureError, match=message) as caught:
        layer(**data)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, lpgd.LpgdError)
    assert layer.stats.solves == 0


@pytest.fixture
def layer():
    return QPLayer(RULE, on_failure="nan")  # wrong structure raises in each mode


def test_the_program_itself_is_fine(layer):
    assert layer(**program()).shape == (3,)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex128])
def test_dtypes_that_are_not_real_and_floating(layer, name, dtype):
    data = program()
    data[name] = data[name].to(dtype)
    refused(layer, data, f"^{name} must have a real floating dtype, got {dtype}$")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "convert, given", [(np.asarray, "ndarray"), (torch.Tensor.tolist, "list"), (str, "str")]
)
def test_what_is_no_tensor(layer, name, convert, given):
    data = program()
    data[name] = convert(data[name])
    refused(layer, data, f"^{name} must be a torch.Tensor, got {given}$")


@pytest.mark.parametrize("given, missing", [("G", "h"), ("h", "G"), ("A", "b"), ("b", "A")])
@pytest.mark.parametrize("make", [QPLayer, LPLayer])
def test_missing_partners(make, given, missing):
    data = program(**{missing: None})
    if make is LPLayer:
        data["c"] = data.pop("q")
        del data["P"]
    refused(make(RULE), data, f"^{given} is given without its partner {missing}$")


@pytest.mark.parametrize("name", ["P", "q"])
def test_required_arguments_of_a_QP(layer, name):
    refused(layer, program(**{name: None}), f"^{name} is required, got None$")


def test_required_arguments_of_an_LP():
    refused(LPLayer(RULE), {"c": None, "lb": ones(3)}, "^c is required, got None$")


@pytest.mark.parametrize(
    "name, shape, expected",
    [
        ("P", (2, 3), "(..., 3, 3), got (2, 3)"),
        ("P", (4, 4), "(..., 3, 3), got (4, 4)"),
        ("G", (2, 4), "(..., 2, 3), got (2, 4)"),
        ("A", (5, 1, 2), "(..., 1, 3), got (1, 2)"),
        ("h", (3,), "(..., 2), got (3,)"),
        ("h", (5, 1), "(..., 2), got (5, 1)"),
        ("b", (2,), "(..., 1), got (2,)"),
        ("lb", (1,), "(..., 3), got (1,)"),
        ("ub", (5, 4), "(..., 3), got (5, 4)"),
    ],
)
def test_shapes(layer, name, shape, expected):
    refused(
        layer, program(**{name: ones(*shape)}),
        "^" + f"{name} must have shape {expected}".replace("(", r"\(").replace(")", r"\)") + "$",
    )  # fmt: skip


@pytest.mark.parametrize(
    "name, shape, least",
    [("P", (3,), "2 dimensions"), ("q", (), "1 dimension"), ("h", (), "1 dim")],
)
def test_too_few_dimensions(layer, name, shape, least):
    message = rf"^{name} must have at least {least}.*, got shape \({'3,' if shape else ''}\)$"
    refused(layer, program(**{name: ones(*shape)}), message)


def test_no_variables(layer):
    refused(layer, {"P": ones(0, 0), "q": ones(0)}, r"q must have at least 1 entry, got \(0,\)")


def test_batch_dimensions_that_do_not_broadcast(layer):
    data = program(q=ones(5, 3), h=ones(4, 2), lb=-ones(1, 3))
    message = r"^batch dimensions do not broadcast: q \(5,\), h \(4,\), lb \(1,\)$"
    refused(layer, data, message)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "q"])
def test_devices_that_differ(layer, name):
    data = program()
    data[name] = data[name].to("meta")
    refused(layer, data, f"^{name} is on meta, but the cost is on cpu; move them together$")


def test_the_names_are_the_callers():
    data = {"c": ones(3).to(torch.int64), "lb": ones(3)}
    refused(LPLayer(RULE), data, "^c must have a real floating dtype")
    with pytest.raises(lpgd.SolverError, match="c has a NaN"):
        LPLayer(RULE)(torch.full((3,), float("nan")), lb=ones(3))


def test_only_matrices_may_be_sparse(layer):
    for name in ("q", "h", "lb"):
        data = program()
        data[name] = data[name].to_sparse()
        refused(layer, data, f"^{name} must be dense, got a sparse argument$")


def test_a_sparse_P_stores_both_triangles(layer):
    upper = sparse.csr_matrix(np.triu(np.ones((3, 3))))
    message = "^P must store both triangles: its pattern is not symmetric$"
    refused(layer, program(P=Sparse(upper, ones(6))), message)


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")  # torch's, of its beta state
def test_sparse_layouts_other_than_a_COO_matrix():
    lp = {"c": ones(3), "h": ones(2), "lb": -ones(3)}
    expected = "must be a two-dimensional COO tensor or lpgd.torch.Sparse, got layout"
    for G, given in (
        (ones(2, 3).to_sparse_csr(), r"torch.sparse_csr and shape \(2, 3\)"),
        (ones(5, 2, 3).to_sparse(), r"torch.sparse_coo and shape \(5, 2, 3\)"),
        (ones(2, 3).to_sparse(1), r"torch.sparse_coo and shape \(2, 3\)"),
    ):
        refused(LPLayer(RULE), lp | {"G": G}, f"^G.*{expected} {given}$")


def test_sparse_arguments_are_checked_like_dense_ones():
    pattern = sparse.csr_matrix(np.eye(2, 3))
    lp = {"c": ones(3), "lb": -ones(3), "h": ones(2)}
    layer = LPLayer(RULE)
    integers = Sparse(pattern, torch.ones(2, dtype=torch.int64))
    refused(layer, lp | {"G": integers}, "^G must have a real floating dtype, got torch.int64$")
    refused(layer, lp | {"G": Sparse(pattern, ones(2)), "h": None}, "^G is given without.* h$")
    wide = Sparse(sparse.csr_matrix(np.eye(2, 4)), ones(2))
    message = r"^G must have shape \(..., 2, 3\), got \(2, 4\)$"
    refused(layer, lp | {"G": wide}, message)
    two = lp | {"c": ones(4, 3), "G": Sparse(pattern, ones(5, 2))}
    refused(layer, two, r"^batch dimensions do not broadcast: c \(4,\), G \(5,\)$")
    away = lp | {"G": Sparse(pattern, ones(2, device="meta"))}
    refused(layer, away, "^G is on meta, but the cost is on cpu")


def test_sparse_QPs_are_refused_by_other_engines():
    pattern = sparse.csr_matrix(np.ones((2, 3)))
    data = program(G=Sparse(pattern, ones(6)))
    with pytest.raises(lpgd.EngineError, match="engine 'daqp' takes dense arguments only"):
        QPLayer(RULE, "daqp")(**data)
    with pytest.raises(lpgd.EngineError, match="engine 'highs' does not solve a QP"):
        QPLayer(RULE, "highs")(**program())
