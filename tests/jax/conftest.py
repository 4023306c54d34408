"""float64 in all tests of this folder that do not switch it off, and an empty store."""

import pytest


@pytest.fixture(autouse=True)
def jax():
    found = pytest.importorskip("jax")
    before = found.config.jax_enable_x64
    found.config.update("jax_enable_x64", True)
    yield found
    found.config.update("jax_enable_x64", before)


@pytest.fixture
def store(jax, monkeypatch):
    """A store of forward passes of the test's own."""
    from lpgd.frontend.kept import Store
    from lpgd.jax import envelope, host, program

    own = host.Host(Store(), host.HOST.listeners)
    for module in (envelope, program):
        monkeypatch.setattr(module, "HOST", own)
    return own.store


@pytest.fixture
def calls(monkeypatch):
    """Which host functions were called."""
    from lpgd.frontend.replay import Replay
    from lpgd.frontend.valued import Valued

    made = []
    for host in (Replay, Valued):
        for name in ("solve", "pullback", "pushforward"):
            own = getattr(host, name)

            def counted(self, *args, name=name, own=own, **given):
                made.append(name)
                return own(self, *args, **given)

            monkeypatch.setattr(host, name, counted)
    return made
