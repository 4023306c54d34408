"""Checks of shapes, without a framework; the layers' own tests see the rest."""

import numpy as np
import pytest

from lpgd.core.errors import StructureError
from lpgd.core.pattern import Pattern
from lpgd.frontend.arguments import check_parameters, present, structure

SHAPES = {"P": (3, 3), "q": (3,), "G": (2, 3), "h": (2,), "lb": (5, 3)}


def test_what_fits():
    found = structure(SHAPES, "q")
    assert (found.n, found.sizes) == (3, {"P": 3, "G": 2, "lb": 3})
    assert found.cores == (2, 1, 2, 1, 1)


def test_sparse_arguments_have_their_values_last():
    pattern = Pattern(np.array([0, 1]), np.array([2, 0]), (2, 3))
    found = structure({**SHAPES, "G": (7, 1, 2)}, "q", {"G": pattern})
    assert found.sizes["G"] == 2
    assert found.cores == (2, 1, 1, 1, 1)


@pytest.mark.parametrize(
    "shapes, message",
    [
        ({"P": (3, 3), "q": (4,)}, r"^q must have shape \(..., 3\) to fit P with its 3 columns"),
        ({"P": (3, 3), "q": (3, 1)}, r"^q must have shape \(..., 3\) .*, got \(3, 1\)$"),
        ({**SHAPES, "q": (2,)}, r"^q must have shape \(..., 3\) to fit P"),
        ({"c": (4,), "lb": (3,), "ub": (3,)}, r"^c must have .* to fit lb with its 3 entries"),
        ({"P": (2, 3), "q": (4,)}, r"^P must have shape \(..., 4, 4\), got \(2, 3\)"),
        ({**SHAPES, "P": (4, 4)}, r"^P must have shape \(..., 3, 3\), got \(4, 4\)"),
        ({**SHAPES, "lb": (5, 2)}, r"^lb must have shape \(..., 3\), got \(5, 2\)"),
    ],
)
def test_the_argument_that_is_wrong_is_blamed(shapes, message):
    with pytest.raises(StructureError, match=message):
        structure(shapes, "c" if "c" in shapes else "q")


def test_partners_and_required_arguments():
    assert present({"q": 1, "G": None, "h": None}, ("q",)) == {"q": 1}
    with pytest.raises(StructureError, match="q is required, got None"):
        present({"q": None}, ("q",))
    with pytest.raises(StructureError, match="h is given without its partner G"):
        present({"q": 1, "h": 2, "G": None}, ("q",))


EXPECTED = [("price", (2,)), ("risk", ())]


FITTING = [
    [(2,), ()],
    [(5, 2), (5,)],
    [(5, 2), ()],
    [(2,), (5, 1)],
    [(1, 5, 2), (5, 1)],
    [(4, 2), (5, 1)],
    [(1, 2), (1, 1)],
    [(5, 1, 2), (1, 5)],
    [(5, 5, 2), (1, 5)],
    [(5, 5, 2), (5, 1)],
    [(3, 5, 2), (5,)],
    [(1, 3, 2), (1,)],
]


@pytest.mark.parametrize("shapes", FITTING)
def test_parameters_that_fit(shapes):
    check_parameters(shapes, EXPECTED)


@pytest.mark.parametrize("shapes", [[(5, 2), (5, 1)], [(3, 5, 2), (3, 5, 1)]])
def test_a_column_of_scalars_does_not_make_a_square(shapes):
    message = r"parameter 1 \(risk\) is a scalar .*would broadcast to .*5, 5\)\. Pass it .*squeeze"
    with pytest.raises(StructureError, match=message):
        check_parameters(shapes, EXPECTED)


@pytest.mark.parametrize(
    "shapes, message",
    [
        ([(5, 5, 2), (5,)], r"0 \(price\).* \(5, 5\)\. .* \(5, 1\) .* front, \(1, 5\) .* end\."),
        ([(5, 1, 2), (5,)], r"0 \(price\).* to \(5, 5\)\. .* \(5, 1\) .* front, \(1, 5\) .* end\."),
        ([(5, 2), (5, 5)], r"1 \(risk\).* \(5, 5\)\. .* \(5, 1\) .* front"),
        ([(3, 3, 2), (3, 3, 3)], r"1 \(risk\).* \(3, 3, 1\) .* front, \(1, 3, 3\) .* end\."),
    ],
)
def test_batches_that_may_have_been_meant_to_meet_in_front(shapes, message):
    message = f"Invalid parameter dimensionality for parameter {message}"
    with pytest.raises(StructureError, match=message):
        check_parameters(shapes, EXPECTED)


@pytest.mark.parametrize(
    "shapes, message",
    [
        ([(), ()], "Invalid parameter dimensionality for parameter 0 .price."),
        ([(3,), ()], "Invalid parameter shape for parameter 0 .price."),
        ([(4, 2), (5,)], "Inconsistent batch sizes.*4,. of price"),
    ],
)
def test_parameters_that_do_not(shapes, message):
    with pytest.raises(StructureError, match=message):
        check_parameters(shapes, EXPECTED)
