"""Draws calls of QPLayer and LPLayer, and what calls of all layers share."""

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix

from tests.fuzz import polyhedra
from tests.fuzz.cases import Case, dense_sizes
from tests.fuzz.cones import blocks_of, drawn_cones, given_matrices
from tests.fuzz.cones import plant as plant_cones
from tests.fuzz.draws import Draw
from tests.fuzz.elements import Element
from tests.fuzz.hurts import hurt, judged
from tests.fuzz.layouts import LAYOUTS
from tests.fuzz.units import rescaled

SHAPES = ((1,), (), (2,), (3,), (4,), (7,), (2, 3), (1, 2, 1), (0,), (2, 0))
SHAPE_WEIGHTS = (3, 2, 4, 4, 3, 1, 2, 1, 1, 1)
SHARING = ("own", "matrices", "constraints", "some", "anything")
RULES = (
    "lpgd.LPGD()", "lpgd.Exact()", "lpgd.LPGD(tau=0.1)", "lpgd.LPGD(tau=1e-3, side='lower')",
    "lpgd.LPGD(tau=0.5, side='upper')", "lpgd.LPGD(tau=100.0, fallback=True)",
    "lpgd.LPGD(rho=0.1)", "lpgd.LPGD(tau=1.0, rho=0.5)", "lpgd.Exact(rho=0.1)",
    "lpgd.LPGD(tau=1e-300)", "lpgd.LPGD(tau=1e300)",
)  # fmt: skip
RULE_WEIGHTS = (12, 8, 2, 2, 1, 1, 2, 2, 1, 1, 1)
COTANGENTS = (
    "normal", "one entry", "zero", "tiny", "denormal", "large", "largest", "nan", "inf", "zero row",
)  # fmt: skip
COTANGENT_WEIGHTS = (12, 4, 2, 2, 1, 2, 1, 1, 1, 2)
SCS = "lpgd.ScsEngine(iteration_limit=5_000)"
DTYPES = ("float64", "float32", "bfloat16", "mixed", "float16")


def quadratic_case(draw: Draw, layer: str) -> Case:
    """A call of QPLayer or LPLayer."""
    form = polyhedra.Form.drawn(draw, quadratic=layer == "qp")
    shape = draw.pick("shape", SHAPES, SHAPE_WEIGHTS)
    sharing = draw.pick("sharing", SHARING, (6, 3, 2, 2, 1)) if prod(shape) > 1 else "own"
    elements, shared = _batch(draw, form, max(prod(shape), 1), sharing)
    sizes = dense_sizes(elements[0])
    own = frozenset(sizes) - set(shared)
    blocks = {k: [slice(i, i + 1) for i in range(sizes[k][0])] for k in ("G", "A") if k in sizes}
    if sharing == "own":
        elements = [
            rescaled(draw, hurt(draw, e, f" {i}", own), f" {i}", blocks)
            for i, e in enumerate(elements)
        ]
    else:
        hurts = [hurt(draw, e, f" {i}", own) for i, e in enumerate(elements)]
        elements = [rescaled(draw, e, "", blocks) for e in hurts]
    engines = ("auto", "daqp") if layer == "qp" else ("auto", "daqp", "highs")
    case = Case(
        layer, tuple(elements), shape, options(draw, engines),
        {k: _kept(draw, k, shape, v) for k, v in shared.items()}, sizes=sizes,
    )  # fmt: skip
    return finished(draw, case)


def _batch(
    draw: Draw, form: polyhedra.Form, count: int, sharing: str
) -> tuple[list[Element], dict[str, bool]]:
    """Planted elements, and the arguments that they share (True: for certain)."""
    matrices, well = polyhedra.shared_matrices(draw, form)
    first = polyhedra.plant(draw, form, matrices, " 0", well=well)
    elements = [first]
    fixed = {k: v for k, v in first.data.items() if k != "q"}
    for i in range(1, count):
        if sharing in ("own", "some", "anything"):
            given, well = polyhedra.shared_matrices(draw, form, f" {i}")
        elif sharing == "matrices":
            given = matrices
        else:
            given = {**fixed, "x": first.point["x"]}  # type: ignore[index]
        elements.append(polyhedra.plant(draw, form, given, f" {i}", well=well))
    if sharing == "matrices":
        return elements, dict.fromkeys(matrices, True)
    if sharing == "constraints":
        return elements, dict.fromkeys(fixed, True)
    if sharing == "own":
        return elements, {}
    return _mixed(draw, elements, few=sharing == "some")


def conic_case(draw: Draw) -> Case:
    """A call of ConicLayer."""
    cones = drawn_cones(draw)
    n = draw.pick("n", (1, 2, 3, 4, 6, 9), (1, 3, 4, 4, 2, 1))
    shape = draw.pick("shape", SHAPES, SHAPE_WEIGHTS)
    quadratic = draw.pick("P", ("given", "none"), (3, 2)) == "given"
    count = max(prod(shape), 1)
    sharing = draw.pick("sharing", ("own", "matrices"), (3, 1)) if prod(shape) > 1 else "own"
    given, well = given_matrices(draw, cones, n, quadratic=quadratic)
    elements = list[Element]()
    for i in range(count):
        if i and sharing == "own":
            given, well = given_matrices(draw, cones, n, f" {i}", quadratic=quadratic)
        elements.append(plant_cones(draw, cones, n, given, f" {i}", well=well))
    sizes, shared = dense_sizes(elements[0]), dict[str, tuple[int, ...]]()
    if sharing == "matrices":
        shared = {k: _kept(draw, k, shape, True) for k in given}
    own = frozenset(sizes) - set(shared)
    blocks = {"A": blocks_of(cones), "conic": []}
    hurts = [hurt(draw, e, f" {i}", own, cones) for i, e in enumerate(elements)]
    tags = [f" {i}" if sharing == "own" else "" for i in range(count)]
    units = [rescaled(draw, e, tag, blocks) for e, tag in zip(hurts, tags, strict=True)]
    engines = ("auto", "auto", "moreau", "clarabel", "clarabel", "moreau", SCS)
    if cones.kinds <= {"zero", "nonneg"}:
        engines += ("daqp",) if quadratic else ("daqp", "highs")
    case = Case(
        "conic", tuple(units), shape, options(draw, engines), shared, sizes=sizes, cones=cones,
        patterns=_patterns(draw, units, sizes),
    )  # fmt: skip
    return finished(draw, case)


def _patterns(draw: Draw, elements: list[Element], sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Patterns of the matrices that are given as sparse ones."""
    if not draw.chance("sparse", 25):
        return {}
    found = dict[str, Any]()
    for name in ("P", "A"):
        if name in sizes:
            stored = np.any([e.data[name] != 0 for e in elements], axis=0)
            if name == "P":
                stored |= stored.T
            found[name] = csr_matrix(stored.astype(np.float64))
    return found


def _mixed(
    draw: Draw, elements: list[Element], *, few: bool
) -> tuple[list[Element], dict[str, bool]]:
    """Some arguments are the first element's, whether or not that leaves a solution."""
    rng = draw.numbers("mixed")
    names = [k for k in elements[0].data if rng.random() < (0.3 if few else 0.8)]
    own = str(rng.choice(sorted(elements[0].data)))  # one at least says how many there are
    names = [k for k in names if k != own]
    common = {k: elements[0].data[k] for k in names}
    rest = [e.with_data(**common).known("unknown", "mixed") for e in elements[1:]]
    return [elements[0], *rest], dict.fromkeys(names, True)


def _kept(draw: Draw, name: str, shape: tuple[int, ...], _: bool) -> tuple[int, ...]:
    """Batch dimensions of a shared argument: none, or as many, of size one."""
    return draw.pick("shared " + name, ((), (1,) * len(shape), (1,)), (3, 1, 1))


def options(draw: Draw, engines: tuple[str, ...]) -> dict[str, Any]:
    """Options of a layer."""
    engine = draw.pick("engine", engines)
    rule = draw.pick("rule", RULES, RULE_WEIGHTS)
    if engine == "highs" and "rho" in rule:
        rule = RULES[0]
    return {
        "rule": rule,
        "engine": engine,
        "on_failure": draw.pick("on_failure", ("nan", "raise"), (4, 1)),
        "threads": draw.pick("threads", (None, 1, 2)),
        "accept_inexact": draw.chance("accept_inexact", 4),
    }


def finished(draw: Draw, case: Case) -> Case:
    """The case with dtypes, layouts, wanted gradients and cotangents."""
    kind = draw.pick("dtype", DTYPES, (20, 4, 1, 2, 1))
    rng = draw.numbers("dtype")
    dtypes = {
        k: str(rng.choice(["float64", "float32"])) if kind == "mixed" else kind for k in case.sizes
    }
    elements = tuple(judged(judged(e).rounded(dtypes)) for e in case.elements)
    names = sorted(LAYOUTS)
    odd = draw.pick("layouts", ("contiguous", "any", "one kind"), (3, 3, 2))
    rng = draw.numbers("layouts")
    one = str(rng.choice(names))
    layouts = {
        k: str(rng.choice(names)) if odd == "any" else one for k in (*case.sizes, *case.names)
    }
    wanted = draw.pick("wanted", ("all", "some", "none", "costs"), (12, 4, 1, 2))
    rng = draw.numbers("wanted")
    chosen = {
        "all": set(case.sizes),
        "none": set[str](),
        "costs": {"q" if "q" in case.sizes else next(iter(case.sizes))},
        "some": {k for k in case.sizes if rng.random() < 0.5},
    }[wanted]
    case = replace(
        case, elements=elements, dtypes=dtypes, wanted=frozenset(chosen),
        layouts=layouts if odd != "contiguous" else {},
    )  # fmt: skip
    case = replace(case, cotangents=cotangents(draw, case))
    only = draw.pick("only", (None, *range(8)), (1, *(0,) * 8))  # to make a case smaller
    return case if only is None or only >= prod(case.shape) else case.of([only])


def cotangents(draw: Draw, case: Case) -> dict[str, np.ndarray]:
    """A cotangent for some of the outputs, (B, k) each, of size one in fair units."""
    which = draw.pick(
        "pulled", (case.names[0], "all", *case.names[1:]), (8, 4, *(1,) * len(case.names[1:]))
    )
    kind = draw.pick("cotangent", COTANGENTS, COTANGENT_WEIGHTS)
    count = prod(case.shape)
    found = dict[str, np.ndarray]()
    for name in case.names:
        if which in (name, "all"):
            rng = draw.numbers("cotangent " + name)
            core = case.core(name)
            fair = [1.0 / e.fit.get(name, 1.0) * np.ones(core) for e in case.elements[:count]]
            values = _shaped(rng, kind, np.array(fair).reshape(count, *core))
            found[name] = torch.from_numpy(values).to(case.dtype).double().numpy()
    return found


def _shaped(rng: np.random.Generator, kind: str, units: np.ndarray) -> np.ndarray:
    values = rng.normal(size=units.shape)
    if kind == "zero":
        return np.zeros(units.shape)
    with np.errstate(all="ignore"):
        values = (values * units).astype(np.float64)
    values = np.where(np.isfinite(values), values, 1.0)
    if not values.size:
        return values
    if kind == "one entry":
        flat = values.reshape(len(values), -1)
        flat *= np.eye(flat.shape[1])[rng.integers(flat.shape[1], size=len(flat))]
    elif kind == "zero row":
        values[rng.integers(len(values))] = 0.0
    elif kind in ("nan", "inf"):
        values.reshape(-1)[rng.integers(values.size)] = float(kind)
    factor = {"tiny": 1e-300, "denormal": 1e-320, "large": 1e150, "largest": 1e308}.get(kind, 1.0)
    with np.errstate(all="ignore"):
        values = values * factor
    cap = np.finfo(np.float64).max
    return np.clip(values, -cap, cap) if kind == "largest" else values


def traits(case: Case) -> Mapping[int, tuple[str, ...]]:
    """What each element is, for reports."""
    return {i: (e.verdict, *e.traits) for i, e in enumerate(case.elements)}
