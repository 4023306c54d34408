from importlib.metadata import EntryPoint

import pytest

from lpgd import ClarabelEngine, Cones, DaqpEngine, EngineError, HighsEngine, MoreauEngine
from lpgd.engines import registry
from lpgd.problems.conic import Conic
from lpgd.problems.pattern import Pattern
from lpgd.problems.qp import QP


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
    ],
)
def test_names_lead_to_engines(name, kind):
    assert registry.get(name) == kind()
    assert registry.get(name).name == name


def test_unknown_names_are_refused_with_the_known_ones(monkeypatch):
    mine = EntryPoint("mine", "lpgd:DaqpEngine", "lpgd.engines")
    monkeypatch.setattr(registry, "entry_points", _entry_points(mine))
    with pytest.raises(EngineError, match=r"'dakp'.*auto, clarabel, daqp, highs, mine, moreau"):
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
        ({"clarabel"}, "clarabel"),
        (set(), "moreau"),
    ],
)
def test_cone_programs_go_to_what_is_installed(installed, name, monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda module: module in installed or None)
    assert registry.choose(Conic(2, Cones(nonneg=1)), "conic") == name
