"""The project's commands. They use the current environment: pip install -e ".[dev]" made it."""

from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["all"]


@nox.session
def all(session: nox.Session) -> None:
    """Everything that a change must pass."""
    for name in ("lint", "types", "docs", "tests"):
        session.notify(name)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and formatting."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types, strict for the core."""
    session.run("pyright", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, into site/."""
    session.run("mkdocs", "build", "--strict", *session.posargs)


@nox.session
def figures(session: nox.Session) -> None:
    """The figures of docs/examples.md, drawn anew; or those of the examples that are named."""
    for path in sorted(Path("examples").glob("*.py")):
        if not session.posargs or path.stem in session.posargs:
            session.run("python", str(path), "--out", "docs/figures")


@nox.session
def tests(session: nox.Session) -> None:
    """The tests, with coverage of the core."""
    session.run("pytest", "-n", "auto", "--cov", "--cov-fail-under=95", *session.posargs)


@nox.session
@nox.parametrize("framework", ["torch", "jax"])
def without(session: nox.Session, framework: str) -> None:
    """The tests as if a framework were not installed; those that need it skip."""
    env = {"LPGD_TESTS_WITHOUT": framework}
    session.run("pytest", "-n", "auto", *session.posargs, env=env)


@nox.session(venv_backend="venv")
@nox.parametrize("version", ["oldest", "newest"])
def jax(session: nox.Session, version: str) -> None:
    """JAX's tests with the oldest JAX declared, or the newest, where there is no torch."""
    extras = nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"]
    own = [
        need.replace("jax>=", "jax==" if version == "oldest" else "jax>=") for need in extras["jax"]
    ]
    depend = ("jax==", "jaxlib==", "optax==", "equinox==")  # pins that are of another JAX
    pins = Path("constraints.txt").read_text().splitlines()
    free = Path(session.create_tmp(), "constraints.txt")
    free.write_text("\n".join(pin for pin in pins if not pin.startswith(depend)))
    tools = ["cvxpy>=1.9", "joblib", "optax", "equinox", "hypothesis"]
    tools += ["pytest", "pytest-randomly", "pytest-xdist"]
    session.install("-c", str(free), "-e", ".[sparse,nlp]", *own, *tools)
    folders = [f"tests/{name}" for name in ("jax", "frontends", "frontend", "diagnosis")]
    session.run("pytest", "-n", "auto", *(session.posargs or folders))


@nox.session
def fuzz(session: nox.Session) -> None:
    """Hostile calls of all layers, 50,000 unless told: nox -s fuzz -- --calls 1000 --seed 1."""
    session.run("python", "benchmarks/fuzz.py", *(session.posargs or ("--calls", "50000")))
