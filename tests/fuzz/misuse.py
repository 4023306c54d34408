"""Calls that are wrong, or look so: refused by name of the argument, or served in silence."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.masked import masked_tensor

import lpgd
from lpgd.torch import ConicLayer, CvxpyLayer, LPLayer, QPLayer
from tests.fuzz.calls import Outcome, caught
from tests.fuzz.draws import Draw
from tests.fuzz.findings import Finding

REFUSALS = (lpgd.LpgdError, TypeError, ValueError)
PYTHON = "not supported between"  # an error of the language, and not about the option
WRONG = (2.5, -1, "many", None, float("nan"), float("inf"), [3])


@dataclass(frozen=True)
class Misuse:
    """A call and what should come of it.

    Attributes
    ----------
    call : callable
    refused : bool
        Whether it must raise; otherwise it may not.
    either : bool
        Whether both an answer and a refusal are right.
    word : str
        What the message must contain.
    without : str
        What neither message nor warnings may contain.
    """

    call: Callable[[], Any]
    refused: bool = True
    either: bool = False
    word: str = ""
    without: str = ""


def examine(draw: Draw) -> tuple[list[Finding], int]:
    """One of the table, by its name."""
    table = _table(draw)
    name = draw.pick("misuse", sorted(table))
    case = table[name]
    outcome = Outcome()
    with caught(outcome):
        try:
            case.call()
        except Exception as error:
            outcome.error = error
    found = [text.partition(": ") for text in _faults(case, outcome)]
    return [Finding(f"{name}: {kind}", detail) for kind, _, detail in found], 1


def _faults(case: Misuse, outcome: Outcome) -> list[str]:
    error, found = outcome.error, list[str]()
    texts = [str(w.message) for w in outcome.warned]
    if error is None and case.refused and not case.either:
        found.append("accepted")
    if error is not None:
        if not isinstance(error, REFUSALS):
            found.append(f"raises {type(error).__name__}: {str(error)[:100]}")
        elif not case.refused and not case.either:
            found.append(f"refused: {str(error)[:100]}")
        elif case.word not in str(error):
            found.append(f"does not name {case.word!r}: {str(error)[:100]}")
        texts.append(str(error))
    if case.without and any(case.without in text for text in texts):
        found.append(f"says {case.without!r}")
    if outcome.printed:
        found.append("prints")
    return found


def _table(draw: Draw) -> dict[str, Misuse]:
    n = draw.pick("n", (2, 1, 3))
    P, q = torch.eye(n, dtype=torch.float64), torch.arange(n, dtype=torch.float64)
    G, h = torch.ones(1, n, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    return {
        **_tensors(P, q, G, h), **_shapes(P, q, G, h), **_options(draw), **_models(), **_words(P, q)
    }  # fmt: skip


def _tensors(
    P: torch.Tensor, q: torch.Tensor, G: torch.Tensor, h: torch.Tensor
) -> dict[str, Misuse]:
    """Kinds of tensors that are no plain numbers in memory."""

    def nested() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tensor = torch.nested.nested_tensor([q, q])
        return QPLayer()(P, tensor)

    def masked() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tensor = masked_tensor(q, q > 0)
        return QPLayer()(P, tensor)

    def fake() -> Any:
        with FakeTensorMode() as mode:
            return QPLayer()(mode.from_tensor(P), mode.from_tensor(q))

    e4m3, e5m2 = torch.float8_e4m3fn, torch.float8_e5m2
    return {
        "meta tensors": Misuse(lambda: QPLayer()(P.to("meta"), q.to("meta")), word="meta"),
        "meta costs": Misuse(lambda: LPLayer()(q.to("meta"), G, h)),
        "nested tensor": Misuse(nested, word="q"),
        "masked tensor": Misuse(masked, word="q"),
        "fake tensors": Misuse(fake, either=True),
        "float8 and float64": Misuse(lambda: QPLayer()(P, q.to(e4m3)), either=True, word="q"),
        "two kinds of float8": Misuse(lambda: QPLayer()(P.to(e5m2), q.to(e4m3)), either=True),
        "complex": Misuse(lambda: QPLayer()(P, q.to(torch.complex64)), word="q"),
        "integers": Misuse(lambda: LPLayer()(q.long(), G, h), word="c"),
        "booleans": Misuse(lambda: QPLayer()(P.bool(), q), word="P"),
        "a list": Misuse(lambda: QPLayer()(P, q.tolist()), word="q"),
        "an array": Misuse(lambda: QPLayer()(P.numpy(), q), word="P"),
        "no costs": Misuse(lambda: LPLayer()(None, G, h), word="c"),
        "sparse h": Misuse(lambda: LPLayer()(q, G, h.to_sparse()), word="h"),
        "sparse G": Misuse(lambda: LPLayer()(q, G.to_sparse(), h, lb=-P[0] - 9), refused=False),
        "compressed G": Misuse(lambda: LPLayer()(q, G.to_sparse_csr(), h), word="G"),
    }


def _shapes(
    P: torch.Tensor, q: torch.Tensor, G: torch.Tensor, h: torch.Tensor
) -> dict[str, Misuse]:
    """Shapes that do not fit; the argument at fault is the one that stands alone."""
    long, cones = torch.zeros(len(q) + 1, dtype=torch.float64), lpgd.Cones(nonneg=1)
    return {
        "long q": Misuse(lambda: QPLayer()(P, long, G, h, lb=q), word="q must"),
        "long q of a cone program": Misuse(lambda: ConicLayer(cones)(P, long, G, h), word="q must"),
        "long h": Misuse(lambda: QPLayer()(P, q, G, long.repeat(2)), word="h must"),
        "no h": Misuse(lambda: QPLayer()(P, q, G), word="h"),
        "scalar q": Misuse(lambda: QPLayer()(P, q[0]), word="q"),
        "empty q": Misuse(lambda: QPLayer()(P[:0, :0], q[:0]), word="q"),
        "flat P": Misuse(lambda: QPLayer()(q, q), word="P"),
        "batches of 2 and 3": Misuse(
            lambda: QPLayer()(P.expand(2, -1, -1), q.expand(3, -1)), word="P"
        ),
        "other cones": Misuse(lambda: ConicLayer(lpgd.Cones(nonneg=3))(P, q, G, h), word="A"),
        "a size as cones": Misuse(lambda: ConicLayer(3), word="cones"),
    }


def _options(draw: Draw) -> dict[str, Misuse]:
    """Options out of range, each drawn from the same list."""
    wrong = draw.pick("wrong", WRONG)
    found = dict[str, Misuse]()
    engines = ("DaqpEngine", "HighsEngine", "MoreauEngine", "ClarabelEngine", "ScsEngine")
    for name in engines:
        for option in ("iteration_limit", "time_limit"):
            fine = option == "time_limit" and wrong in (2.5, float("inf"))
            if not fine:
                found[f"{name}({option}={str(wrong)[:5]})"] = Misuse(
                    lambda name=name, option=option: getattr(lpgd, name)(**{option: wrong}),
                    word=option, without=PYTHON, either=(option, wrong) == ("time_limit", None),
                )  # fmt: skip
    for option in ("tau", "rho", "side", "retries"):
        if not (wrong == 2.5 and option in ("tau", "rho")):
            found[f"LPGD({option}={str(wrong)[:5]})"] = Misuse(
                lambda option=option: lpgd.LPGD(**{option: wrong}), word=option, without=PYTHON
            )
    for option in ("soc", "psd", "power"):
        found[f"Cones({option}=({str(wrong)[:5]},))"] = Misuse(
            lambda option=option: lpgd.Cones(**{option: (wrong,)}), without=PYTHON
        )
    for option in ("threads", "on_failure", "engine"):
        if not (wrong is None and option == "threads"):
            found[f"QPLayer({option}={str(wrong)[:5]})"] = Misuse(
                lambda option=option: QPLayer(**{option: wrong}), word=option, without=PYTHON
            )
    return found


def _models() -> dict[str, Misuse]:
    """Calls of CvxpyLayer."""
    x, s, v = cp.Variable(2), cp.Parameter(name="s"), cp.Parameter(2, name="v")
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - v) + s * cp.sum(x)))
    column, rows = torch.ones(4, 1), torch.ones(4, 2)
    k, z = cp.Parameter(3), cp.Variable(4)
    convolved = cp.Problem(cp.Minimize(cp.sum_squares(cp.convolve(k, z))))
    theirs = {"acceleration_lookback": 0, "n_jobs_forward": 1}

    def squared() -> Any:
        (found,) = CvxpyLayer(problem, [s, v], [x])(column, rows)
        if found.shape != (4, 2):
            raise AssertionError(f"4 scalars and 4 vectors became {tuple(found.shape)}")

    return {
        "scalar parameter as a column": Misuse(squared, either=True, word="s"),
        "options of cvxpylayers": Misuse(
            lambda: CvxpyLayer(problem, [s, v], [x], solver_args=theirs)(column[:, 0], rows),
            refused=False, without="no use for",
        ),
        "convolve(parameter, x)": Misuse(
            lambda: CvxpyLayer(convolved, [k], [z]), either=True, without="quad_form"
        ),
        "one tensor too few": Misuse(
            lambda: CvxpyLayer(problem, [s, v], [x])(column[:, 0]), word="2"
        ),
        "parameter forgotten": Misuse(lambda: CvxpyLayer(problem, [s], [x]), word="v"),
        "unknown option": Misuse(
            lambda: CvxpyLayer(problem, [s, v], [x], solver_args={"epz": 1}), word="epz"
        ),
        "accept_inexact of CvxpyLayer": Misuse(
            lambda: CvxpyLayer(problem, [s, v], [x], accept_inexact=True), refused=False
        ),
    }  # fmt: skip


def _words(P: torch.Tensor, q: torch.Tensor) -> dict[str, Misuse]:
    """Warnings that must fit."""

    def still(rule: lpgd.LPGD) -> Any:
        costs = q.clone().requires_grad_()
        row, side = torch.ones(1, len(q), dtype=torch.float64), torch.ones(1, dtype=torch.float64)
        QPLayer(rule)(P, costs, A=row, b=side).sum().backward()

    return {
        "a plane that x cannot leave": Misuse(
            lambda: still(lpgd.LPGD()), refused=False, without="vertex"
        ),
        "the same at tiny tau": Misuse(
            lambda: still(lpgd.LPGD(tau=1e-20)), refused=False, without="vertex"
        ),
    }
