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
    ScsEngine,
)
from lpgd.core.engine import Capabilities
from lpgd.core.pattern import Pattern
from lpgd.engines import registry
from lpgd.families.conic.conic import Conic
from lpgd.families.qp.qp import QP


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
    ],
)
def test_names_lead_to_engines(name, kind):
    assert registry.get(name) == kind()
    assert registry.get(name).name == name


def test_unknown_names_are_refused_with_the_known_ones(monkeypatch):
    mine = EntryPoint("mine", "lpgd:DaqpEngine", "lpgd.engines")
    monkeypatch.setattr(registry, "entry_points", _entry_points(mine))
    with pytest.raises(EngineError, match="auto, clarabel, daqp, highs, mine, moreau, scs"):
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
    "given, tilted, name",
    [
        (problem(10_000, quadratic=True), "QP", "daqp"),
        (problem(20, rows=20), "LP", "daqp"),
        (problem(20, rows=20), "QP", "daqp"),
        (problem(20, rows=20), None, "daqp"),
        (problem(20, rows=20, sparse=True), "LP", "highs"),
        (problem(20, rows=20, sparse=True), None, "highs"),
        (problem(registry.SMALL_LP), "LP", "daqp"),
        (problem(registry.SMALL_LP + 1), "LP", "highs"),
        (problem(registry.SMALL_LP + 1), None, "highs"),
        (problem(registry.SMALL_LP + 1), "QP", "daqp"),
        (problem(registry.LARGE_TILT), "QP", "daqp"),
    ],
)
def test_auto_chooses_by_structure(given, tilted, name):
    assert registry.choose(given, tilted) == name


@pytest.mark.parametrize(
    "given, kind",
    [
        (problem(20, rows=20, sparse=True), "sparse, 20 variables, 20 multipliers"),
        (problem(registry.LARGE_TILT + 1, rows=1), r"dense, \d+ variables, 1 multipliers"),
    ],
)
def test_auto_refuses_tilts_beyond_reach(given, kind):
    with pytest.raises(EngineError, match=r"rho > 0.*" + kind + ".*Use rho = 0.*engine='daqp'"):
        registry.choose(given, "QP")


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
    monkeypatch.setattr(registry, "find_spec", lambda module: module in installed or None)
    assert registry.choose(Conic(2, Cones(nonneg=1)), "conic") == name


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
        (linear(registry.SMALL_QP, 300, filled=0.01), LPGD(1.0), "QP", True),
        (linear(registry.SMALL_QP + 1, 300, filled=0.01), LPGD(1.0), "conic", None),
        (linear(300, 300, filled=0.5), LPGD(1.0), "QP", True),
        (linear(3000, 3000, filled=0.5), LPGD(1.0), "conic", None),
        (linear(registry.SMALL_LP, 99, quadratic=False, filled=0.1), LPGD(1.0), "LP", True),
        (linear(registry.SMALL_LP, 99, quadratic=False, filled=0.1), LPGD(1.0, 1.0), "LP", True),
        (linear(registry.SMALL_LP + 1, 99, quadratic=False, filled=0.1), Exact(), "LP", False),
        (linear(registry.SMALL_LP + 1, 9, quadratic=False), LPGD(1.0), "LP", True),
        (linear(registry.SMALL_LP + 1, 9, quadratic=False), LPGD(1.0, 1.0), "conic", None),
        (Conic(2, Cones(soc=(3,))), LPGD(1.0), "conic", None),
    ],
)
def test_auto_forms_are_chosen_by_structure(given, rule, family, dense):
    found = registry.form(given, "auto", rule)
    assert found.program.family == family
    if dense is not None:
        assert found.program.sparse == (not dense)


@pytest.mark.parametrize("engine", ["moreau", "clarabel", MoreauEngine()])
def test_engines_for_cones_get_cone_programs(engine):
    given = linear(3, 3)
    assert registry.form(given, engine, LPGD(1.0)) is given


def test_named_engines_get_what_they_solve():
    lp = linear(20, 9, quadratic=False, filled=0.1)
    assert registry.form(lp, "highs", LPGD(1.0)).program.sparse
    assert not registry.form(lp, "daqp", LPGD(1.0)).program.sparse
    assert registry.form(linear(9, 9), DaqpEngine(), LPGD(1.0)).program.family == "QP"
    for given, engine, rule, message in (
        (linear(9, 9), "highs", LPGD(1.0), "LPs only"),
        (lp, HighsEngine(), LPGD(1.0, 1.0), "rho > 0"),
        (Conic(2, Cones(nonneg=1, psd=(2,))), "daqp", LPGD(1.0), "not with psd rows"),
        (linear(3000, 3000, filled=0.1), "daqp", LPGD(1.0), "needs dense matrices"),
    ):
        with pytest.raises(EngineError, match=message):
            registry.form(given, engine, rule)


def test_engines_of_others_name_their_cones():
    @dataclass(frozen=True)
    class Mine:
        name: ClassVar[str] = "mine"
        capabilities: ClassVar[Capabilities] = Capabilities(
            frozenset({"conic"}), cones=frozenset({"zero", "soc"})
        )

    registry.require_cones(Mine(), Cones(zero=1, soc=(3,)))
    with pytest.raises(
        EngineError, match="takes cone programs with soc, zero rows only, not with exp rows"
    ):
        registry.require_cones(Mine(), Cones(exp=1))
    with pytest.raises(EngineError, match="dense arguments only"):
        registry.require(Mine(), Conic(1, Cones(zero=1), {"A": Pattern.empty(1)}), LPGD(1.0))
