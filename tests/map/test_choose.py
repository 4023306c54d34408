from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import ClassVar

import numpy as np
import pytest

from lpgd import (
    LPGD,
    ClarabelEngine,
    Cones,
    DaqpEngine,
    EngineError,
    Exact,
    HighsEngine,
    MoreauEngine,
    PiqpEngine,
    ScsEngine,
)
from lpgd.core.engine import Capabilities
from lpgd.core.pattern import Pattern
from lpgd.engines import registry
from lpgd.engines.daqp.engine import LARGE_TILT, SMALL_LP, SMALL_QP
from lpgd.engines.piqp.engine import LARGE
from lpgd.families.conic.conic import Conic
from lpgd.families.conic.polyhedral import forms
from lpgd.families.qp.qp import QP
from lpgd.map import choose as module
from lpgd.map.choose import choose as choice
from lpgd.map.choose import refuse
from lpgd.map.solution_map import Chosen


def choose(given, engine, rule):
    place, found = choice(given, engine, rule)
    return Chosen(given[place], found)


def problem(n, *, quadratic=False, sparse=False, rows=0):
    sizes = {"G": rows} | ({"P": n} if quadratic else {})
    patterns = {"G": Pattern([], [], (rows, n))} if sparse else {}
    return QP.of(sizes, n, patterns)


@pytest.mark.parametrize(
    "name, kind",
    [
        ("daqp", DaqpEngine),
        ("highs", HighsEngine),
        ("moreau", MoreauEngine),
        ("clarabel", ClarabelEngine),
        ("scs", ScsEngine),
        ("piqp", PiqpEngine),
    ],
)
def test_names_lead_to_engines(name, kind):
    assert registry.get(name) == kind()
    assert registry.get(name).name == name


def test_unknown_names_are_refused_with_the_known_ones(monkeypatch):
    mine = EntryPoint("mine", "lpgd:DaqpEngine", "lpgd.engines")
    monkeypatch.setattr(registry, "entry_points", _entry_points(mine))
    with pytest.raises(
        EngineError,
        match="auto, clarabel, daqp, highs, ipopt, mine, moreau, piqp, pounce, scs, slsqp",
    ):
        registry.get("dakp")


def test_entry_points_add_engines(monkeypatch):
    mine = EntryPoint("mine", "lpgd:DaqpEngine", "lpgd.engines")
    monkeypatch.setattr(registry, "entry_points", _entry_points(mine))
    assert registry.get("mine") == DaqpEngine()


def _entry_points(*points):
    def find(*, group, name=None):
        assert group == "lpgd.engines"
        return [p for p in points if name in (None, p.name)]

    return find


@pytest.mark.parametrize(
    "given, rule, name",
    [
        (problem(10_000, quadratic=True), LPGD(1.0, 1.0), "daqp"),
        (problem(20, rows=20), LPGD(1.0), "daqp"),
        (problem(20, rows=20), LPGD(1.0, 1.0), "daqp"),
        (problem(20, rows=20), Exact(), "daqp"),
        (problem(20, rows=20, sparse=True), LPGD(1.0), "highs"),
        (problem(20, rows=20, sparse=True), Exact(), "highs"),
        (problem(SMALL_LP), LPGD(1.0), "daqp"),
        (problem(SMALL_LP + 1), LPGD(1.0), "highs"),
        (problem(SMALL_LP + 1), Exact(), "highs"),
        (problem(SMALL_LP + 1), LPGD(1.0, 1.0), "daqp"),
        (problem(LARGE_TILT), LPGD(1.0, 1.0), "daqp"),
        (problem(LARGE_TILT + 1, rows=1), LPGD(1.0, 1.0), "piqp"),
        (problem(20, rows=20, sparse=True), LPGD(1.0, 1.0), "piqp"),
        (problem(20, quadratic=True, rows=20, sparse=True), LPGD(1.0), "piqp"),
    ],
)
def test_auto_chooses_by_structure(given, rule, name):
    assert choose([given], "auto", rule).engine.name == name


@pytest.mark.parametrize(
    "given, kind",
    [
        (problem(20, rows=20, sparse=True), "sparse, 20 variables, 20 multipliers"),
        (problem(LARGE_TILT + 1, rows=1), r"dense, \d+ variables, 1 multipliers"),
    ],
)
def test_auto_refuses_tilts_beyond_reach(given, kind, monkeypatch):
    engines = [engine for engine in registry.known() if engine.name != "piqp"]
    monkeypatch.setattr(registry, "known", lambda: engines)
    with pytest.raises(EngineError, match=r"rho > 0.*" + kind + ".*Use rho = 0.*engine='daqp'"):
        choose([given], "auto", LPGD(1.0, 1.0))


@pytest.mark.parametrize(
    "installed, name",
    [
        ({"moreau", "clarabel"}, "moreau"),
        ({"moreau"}, "moreau"),
        ({"clarabel", "scs"}, "clarabel"),
        ({"scs"}, "scs"),
        (set(), "moreau"),
    ],
)
def test_cone_programs_go_to_what_is_installed(installed, name, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda module: module in installed or None)
    assert choose([Conic(2, Cones(soc=(2,)))], "auto", LPGD(1.0)).engine.name == name


def linear(n, m, *, quadratic=True, filled=None):
    """A cone program with nonnegative rows, dense or with a share of its entries stored."""
    patterns = {}
    if filled is not None:
        stored = np.zeros(int(filled * n * m), dtype=np.intp)
        patterns["A"] = Pattern(stored, stored, (m, n))
        if quadratic:
            patterns["P"] = Pattern.empty(n)
    return Conic(n, Cones(nonneg=m), patterns, quadratic)


@pytest.mark.parametrize(
    "given, rule, family, dense",
    [
        (linear(50, 50), LPGD(1.0), "QP", True),
        (linear(900, 900), Exact(), "QP", True),
        (linear(SMALL_QP, 300, filled=0.01), LPGD(1.0), "QP", True),
        (linear(SMALL_QP + 1, 300, filled=0.01), LPGD(1.0), "conic", None),
        (linear(LARGE, 300, filled=0.01), LPGD(1.0), "QP", False),
        (linear(3000, 3000, filled=0.01), Exact(), "QP", False),
        (linear(300, 300, filled=0.5), LPGD(1.0), "QP", True),
        (linear(3000, 3000, filled=0.5), LPGD(1.0), "QP", False),
        (linear(SMALL_LP, 99, quadratic=False, filled=0.1), LPGD(1.0), "LP", True),
        (linear(SMALL_LP, 99, quadratic=False, filled=0.1), LPGD(1.0, 1.0), "LP", True),
        (linear(SMALL_LP + 1, 99, quadratic=False, filled=0.1), Exact(), "LP", False),
        (linear(SMALL_LP + 1, 9, quadratic=False), LPGD(1.0), "LP", True),
        (linear(SMALL_LP + 1, 9, quadratic=False), LPGD(1.0, 1.0), "conic", None),
        (Conic(2, Cones(soc=(3,))), LPGD(1.0), "conic", None),
    ],
)
def test_auto_forms_are_chosen_by_structure(given, rule, family, dense):
    found = choose(forms(given), "auto", rule).problem
    assert found.program.family == family
    if dense is not None:
        assert ("sparse" in found.program.needs) == (not dense)


@pytest.mark.parametrize("engine", ["moreau", "clarabel", MoreauEngine()])
def test_engines_for_cones_get_cone_programs(engine):
    given = linear(3, 3)
    assert choose(forms(given), engine, LPGD(1.0)).problem is given


def test_named_engines_get_what_they_solve():
    lp = linear(20, 9, quadratic=False, filled=0.1)
    assert choose(forms(lp), "highs", LPGD(1.0)).problem.program.needs
    assert not choose(forms(lp), "daqp", LPGD(1.0)).problem.program.needs
    assert choose(forms(linear(9, 9)), DaqpEngine(), LPGD(1.0)).problem.program.family == "QP"
    for given, engine, rule, message in (
        (linear(9, 9), "highs", LPGD(1.0), "LPs only"),
        (lp, HighsEngine(), LPGD(1.0, 1.0), "rho > 0"),
        (Conic(2, Cones(nonneg=1, psd=(2,))), "daqp", LPGD(1.0), "not with psd rows"),
        (linear(3000, 3000, filled=0.1), "daqp", LPGD(1.0), "needs dense matrices"),
    ):
        with pytest.raises(EngineError, match=message):
            choose(forms(given), engine, rule)


def test_engines_of_others_name_their_cones():
    @dataclass(frozen=True)
    class Mine:
        name: ClassVar[str] = "mine"
        capabilities: ClassVar[Capabilities] = Capabilities(
            frozenset({"conic"}), frozenset({"zero", "soc"})
        )

    refuse([Conic(1, Cones(zero=1, soc=(3,)))], Mine())
    with pytest.raises(EngineError, match="'mine' takes soc, zero rows only, not exp rows"):
        refuse([Conic(1, Cones(exp=1))], Mine())
    with pytest.raises(EngineError, match="dense arguments only"):
        choose([Conic(1, Cones(zero=1), {"A": Pattern.empty(1)})], Mine(), LPGD(1.0))


def test_a_family_that_no_engine_knows_is_told_so():
    class Odd(QP):
        family = "odd"

    with pytest.raises(EngineError, match="no engine of this library solves an odd; pass an inst"):
        choose([Odd.of({}, 1, {})], "auto", LPGD(1.0))
