"""Checks of one call of QPLayer or LPLayer against what is known of its elements."""

from math import prod

import numpy as np

import lpgd
from tests.fuzz import cone_kkt, derivatives, kkt
from tests.fuzz.calls import Outcome
from tests.fuzz.cases import Case
from tests.fuzz.elements import Element
from tests.fuzz.findings import Finding
from tests.fuzz.models import Model

EXACT = 1e-5  # relative error of x where it is unique and well conditioned
FAILING = ("infeasible", "unbounded", "invalid")


def rows_of(case: Case, outcome: Outcome, element: int) -> dict[str, np.ndarray]:
    """The outputs of one element."""
    return {k: case.flat(v, k)[element] for k, v in outcome.outputs.items()}


def solved(case: Case, outcome: Outcome) -> list[bool]:
    """Which elements have an answer."""
    if not outcome.outputs:
        return [False] * prod(case.shape)
    x = case.flat(outcome.outputs[case.names[0]], case.names[0])
    return [not np.isnan(row).all() for row in x]


def answers(case: Case, outcome: Outcome) -> list[Finding]:
    """Whether solved elements are optimal, and those that have no solution are not solved."""
    found = list[Finding]()
    for i, done in enumerate(solved(case, outcome)):
        element = case.elements[i]
        if done:
            point = rows_of(case, outcome, i)
            found += [
                Finding(f.kind, f"element {i} {element.traits}: {f.detail}")
                for f in judged(case, element, point)
            ]
    return found


def judged(case: Case, element: Element, point: dict[str, np.ndarray]) -> list[Finding]:
    """Faults of one solved element."""
    if element.verdict in FAILING:
        return [Finding(f"{element.verdict} but solved", "")]
    if case.options["accept_inexact"]:
        return []
    if case.model is not None:
        return _closed_form(case.model, element, point, case.precision)
    values = [*point.values(), *_multipliers(element, point)]
    if case.precision > 1e-10 and any(map(_out_of_range, values)):
        return []
    found = list[Finding]()
    if case.precision < 1e-5:
        if case.cones is None:
            wrong = kkt.faults(element.data, point, case.precision)
        else:
            wrong = cone_kkt.faults(case.cones, element.data, point, case.precision)
        found += [Finding("solved but " + text.split(" by ")[0], text) for text in wrong]
    inside = not _outside(case, element, point)
    if not found and not inside:
        found.append(Finding("x outside its bounds by rounding", ""))
    if element.exact and not found and case.precision < 1e-10:
        found += compared(element, point, EXACT if case.cones is None else 10 * EXACT)
    return found


def _out_of_range(values: np.ndarray, dtype: str = "float32") -> bool:
    """Whether a dtype cannot hold the values, or not all of their digits."""
    sizes = np.abs(values)
    least, most = {"float64": (1e-307, 1e308), "float16": (1e-37, 6.5e4)}.get(dtype, (1e-37, 3e38))
    return bool(((sizes >= most) | ((sizes > 0) & (sizes < least))).any())


def _multipliers(element: Element, point: dict[str, np.ndarray]) -> list[np.ndarray]:
    """How large the multipliers of single rows are that balance the costs."""
    data = {k: v.astype(np.longdouble) for k, v in element.data.items()}
    with np.errstate(all="ignore"):
        force = np.abs(data["q"]).max()
        if "P" in data:
            force = max(force, np.abs(data["P"] @ point["x"]).max())
        tops = [np.abs(data[k]).max(axis=1, initial=0.0) for k in ("A", "G") if k in data]
        return [force / top[top > 0] for top in tops]


def _closed_form(
    model: Model, element: Element, point: dict[str, np.ndarray], precision: float
) -> list[Finding]:
    """The outputs of a CVXPY problem against its solution."""
    first = next(iter(model.outputs))
    if model.inside and (point[first] < 0).any():
        return [Finding("x outside its bounds by rounding", f"{model.name}")]
    if element.point is None or not element.exact or precision > 1e-10:
        return []
    size = max(float(np.abs(v).max()) for v in element.point.values())
    size = max(size, 1e-3 * max(float(np.abs(v).max()) for v in element.origin.values()))
    gaps = {
        k: float(np.abs((v / element.fit.get(k, 1.0)).astype(np.float64) - element.point[k]).max())
        for k, v in point.items()
    }
    worst = max(gaps, key=lambda k: gaps[k])
    if not gaps[worst] <= 10 * EXACT * size:
        return [Finding("x is not the planted one", f"{model.name}: off by {gaps[worst]:.1e}")]
    return []


def _outside(case: Case, element: Element, point: dict[str, np.ndarray]) -> bool:
    """Whether x breaks a bound, or a row that bounds one variable, by whatever little."""
    if case.cones is None:
        return kkt.outside(element.data, point)
    A, first = element.data["A"], case.cones.zero
    rows = range(first, first + case.cones.nonneg)
    single = [i for i in rows if (A[i] != 0).sum() == 1 and np.abs(A[i]).max() == 1]
    A, sides = A[single], element.data["b"][single]
    least = np.where(A < 0, -sides[:, None], -np.inf).max(axis=0, initial=-np.inf)
    most = np.where(A > 0, sides[:, None], np.inf).min(axis=0, initial=np.inf)
    x = point["x"]  # of bounds that contradict each other, by rounding, it breaks one
    return bool((((x < least) | (x > most)) & (least <= most)).any())


def compared(
    element: Element, point: dict[str, np.ndarray], tolerance: float = EXACT
) -> list[Finding]:
    """The planted x against the one that was found."""
    assert element.point is not None
    unit = element.fit.get("x", 1.0)
    x, planted = (point["x"] / unit).astype(np.float64), element.point["x"]
    size = max(float(np.abs(planted).max()), 1e-3 if _sized(element) else 0.0)
    error = float(np.abs(x - planted).max())
    if not error <= tolerance * size + 1e-300:
        return [Finding("x is not the planted one", f"off by {error:.1e} of {size:.1e}")]
    return []


def _sized(element: Element) -> bool:
    """Whether anything but x = 0 gives the program a length."""
    return any(np.abs(v).max(initial=0.0) > 0 for k, v in element.origin.items() if k in "qbh")


def verdict(element: Element, status: lpgd.Status, *, limited: bool) -> list[Finding]:
    """Whether the status of an element that failed alone is true.

    ``limited`` says that the engine was given few iterations.
    """
    named = {lpgd.Status.INFEASIBLE: "infeasible", lpgd.Status.UNBOUNDED: "unbounded"}
    said, known = named.get(status, ""), element.verdict
    if status == lpgd.Status.CRASHED:
        return [Finding("crashed", str(element.traits))]
    if known == "solvable" and said:
        return [Finding(f"solvable but called {said}", str(element.traits))]
    late = status in (lpgd.Status.ITERATION_LIMIT, lpgd.Status.TIME_LIMIT) and limited
    if known == "solvable" and element.fair and not late:
        return [Finding("solvable but refused", f"{status.text} {element.traits}")]
    # what has no point may have a ray as well, unless P is positive definite, and either is true
    both = known == "infeasible" and not element.strict
    if known in ("infeasible", "unbounded") and said and said != known and not both:
        return [Finding(f"{known} but called {said}", str(element.traits))]
    if known != "invalid" and status == lpgd.Status.INVALID and known != "unknown":
        return [Finding("valid but called invalid", str(element.traits))]
    return []


def pulled(case: Case, outcome: Outcome) -> list[Finding]:
    """Gradients: finite where they should be, zero where nothing was solved, else derivatives."""
    found, done = list[Finding](), solved(case, outcome)
    for i, element in enumerate(case.elements[: prod(case.shape)]):
        rows = {k: case.flat(g, k)[i] for k, g in outcome.gradients.items() if k not in case.shared}
        pull = {k: v[i] for k, v in case.cotangents.items()}
        if case.model is not None and case.model.gp and _overflowing(case, outcome, pull, i):
            continue
        faults = _gradient(case, element, rows, pull, solved=done[i])
        if faults and done[i] and gave_up(outcome, rows):
            fair = element.fair and comparable(case, element)
            faults = [Finding("backward refused")] if fair else []
        found += [
            Finding(f.kind, f"element {i} {element.traits} {case.options['rule']}: {f.detail}")
            for f in faults
        ]
    return found


def gave_up(outcome: Outcome, rows: dict[str, np.ndarray]) -> bool:
    """Whether the backward pass said that it failed, and left a gradient of zeros."""
    warned = any(issubclass(w.category, lpgd.SolverWarning) for w in outcome.warned)
    return warned and not any(np.any(g) for g in rows.values())


def _gradient(
    case: Case,
    element: Element,
    rows: dict[str, np.ndarray],
    pull: dict[str, np.ndarray],
    *,
    solved: bool,
) -> list[Finding]:
    largest = max((np.abs(v).max(initial=0.0) for v in pull.values()), default=0.0)
    dead = not solved or largest == 0
    if dead and not np.isnan(largest) and any(np.any(g != 0) for g in rows.values()):
        return [Finding("gradient of a failed element" if not solved else "gradient of nothing")]
    if dead or not _summable(pull):
        return []
    if any(np.isnan(g).any() for g in rows.values()):
        return [Finding("NaN gradient", ", ".join(k for k, g in rows.items() if np.isnan(g).any()))]
    tame = largest < 1e290 and case.precision < 1e-10 and not element.traits
    if tame and any(np.isinf(g).any() for k, g in rows.items() if case.held(k)):
        return [Finding("infinite gradient")]
    return derived(case, element, rows, pull) + _monotone(case, element, rows, pull)


def _overflowing(case: Case, outcome: Outcome, pull: dict[str, np.ndarray], i: int) -> bool:
    """Whether cotangents of logarithms, which are times x, are infinite in torch already."""
    points = {k: case.flat(v, k)[i].astype(np.float64) for k, v in outcome.outputs.items()}
    with np.errstate(over="ignore"):
        return any(np.isinf(pull[k] * points[k]).any() for k in pull)


def _summable(pull: dict[str, np.ndarray]) -> bool:
    """Whether cotangents are numbers, and so are sums of theirs: a symmetric X has some twice."""
    with np.errstate(over="ignore"):
        return all(np.isfinite(np.abs(v).sum()) for v in pull.values())


def _monotone(case: Case, element: Element, rows, pull) -> list[Finding]:
    """<dx, dq> <= 0 for a loss on x: the solution moves against its cotangent."""
    if set(pull) != {"x"} or "q" not in rows or case.precision > 1e-10:
        return []
    if not (element.exact and element.fair) or ("tau=" in case.options["rule"] and element.fit):
        return []
    dx = pull["x"].astype(np.longdouble) * element.fit.get("x", 1.0)
    dq = rows["q"].astype(np.longdouble) * element.fit.get("q", 1.0)
    length = (dx * dx).sum()
    if 1e-6 < length < 1e6 and (dx * dq).sum() > 1e-6 * length:
        return [Finding("dq along dx", f"{float((dx * dq).sum() / length):.1e}")]
    return []


def comparable(case: Case, element: Element) -> frozenset[str]:
    """Arguments whose gradient is the derivative, by what the rule promises."""
    rule = case.options["rule"]
    if not (element.smooth and case.precision < 1e-10):
        return frozenset()
    if rule == "lpgd.Exact()":
        return frozenset(case.sizes)
    if rule != "lpgd.LPGD()" or (case.model is not None and case.model.linear):
        return frozenset()
    costs = frozenset() if element.strict else frozenset({"P", "q", "c"})
    return frozenset(case.sizes) - costs


def derived(case: Case, element: Element, rows, pull) -> list[Finding]:
    """Gradients against the implicit function theorem."""
    names = comparable(case, element) if case.cones is None else frozenset[str]()
    size = max(float(np.abs(v).max(initial=0.0)) for v in pull.values())
    if not names or not 1e-250 < size < 1e250:
        return []
    fair = {k: (v / size * element.fit.get(k, 1.0)).astype(np.longdouble) for k, v in pull.items()}
    scale = max(float(np.abs(v).max(initial=0.0)) for v in fair.values())
    if not 1e-200 < scale < 1e200:
        return []
    fair = {k: (v / scale).astype(np.float64) for k, v in fair.items()}
    if case.model is None:
        expected = derivatives.gradients(element, fair)
    else:
        expected = derivatives.of_model(case.model, element, fair)
        if expected is None:
            return []
    factor = {k: np.longdouble(size) * scale / element.fit.get(k, 1.0) for k in rows}
    found = {k: (g.astype(np.longdouble) / factor[k]).astype(np.float64) for k, g in rows.items()}
    due = {k: expected[k] * factor[k] for k in rows}
    held = {k for k, v in due.items() if not _out_of_range(v, case.dtypes.get(k, "float64"))}
    texts = derivatives.differences(found, expected, names & held, 1.0)
    return [Finding("gradient is not the derivative", ", ".join(texts))] if texts else []
