"""Quadratic programs in JAX: ``jit(vmap(value_and_grad))`` against the torch layer and qpax.

    python benchmarks/jax_qp.py [--size 64x50x50] [--only JAX]

Instances and checks are those of ``qp.py``. Also counts how often a compiled training loop finds
its forward pass again.
"""

from __future__ import annotations

from functools import partial as make

from _harness import Row, measure, median_ratio, parse_options
from _jax_runner import JaxRunner
from _problems import Instance, quadratic_programs
from _report import BASE, Target, as_records, draw, print_table, print_targets, save_json
from _solver_runner import Qpax
from _torch_runner import ours

import lpgd

TAU = 1e-2
SIZES = {"64x50x50": (64, 50, 50), "512x10x10": (512, 10, 10)}
JAX, EXACT, QPAX = "ours, JAX (lower)", "ours, JAX (Exact)", "qpax (q and h only)"
STEPS = 200


def rows_for(data: Instance) -> list[Row]:
    """Both frontends by the same rules, and qpax at the tolerance that passes the check."""
    lower, exact = lpgd.LPGD(tau=TAU, side="lower"), lpgd.Exact()
    qpax = make(Qpax, data, wanted=("q", "h"), solver_tol=1e-10, target_kappa=1e-10)
    return [
        Row(BASE, "lower", make(ours, data, lower)),
        Row(JAX, "lower", make(JaxRunner, data, lower)),
        Row("ours (Exact)", "exact", make(ours, data, exact)),
        Row(EXACT, "exact", make(JaxRunner, data, exact)),
        Row(QPAX, "exact", qpax, "explicit backend, tight; its gradient of G is wrong"),
    ]


def found_again() -> float:
    """Share of the steps of a compiled training loop whose backward pass found the forward one."""
    import jax
    import jax.numpy as jnp

    from lpgd.jax import solve_qp
    from lpgd.jax.host import HOST

    data, _ = quadratic_programs("loop", (8, 10, 10), TAU, 0, shared=True)
    P, G, h = jnp.array(data.P), jnp.array(data.G), jnp.array(data.h)
    slope = jax.vmap(jax.grad(lambda q, h: (solve_qp(P, q, G, h) ** 2).sum()))
    step = jax.jit(lambda q: q - 0.01 * slope(q, h))
    q, before = jnp.array(data.q), HOST.store.hits
    for _ in range(STEPS):
        q = step(q)
    q.block_until_ready()
    return (HOST.store.hits - before) / STEPS


def main() -> None:
    """Run the chosen sizes; print, save and draw."""
    options = parse_options("Quadratic programs in JAX.")
    parts, tables, targets = {}, {}, []
    for name, sizes in SIZES.items():
        if options.size and name not in options.size:
            continue
        data, references = quadratic_programs(name, sizes, TAU, options.seed, shared=False)
        table = tables[name] = measure(rows_for(data), references, options)
        print_table(f"QP {name} (batch x variables x rows)", table)
        parts[name] = as_records(table)
        if name == "64x50x50":
            for own, base in ((JAX, BASE), (EXACT, "ours (Exact)")):
                ratio = median_ratio(table[own], table[base], "both")
                targets.append(Target(f"{name} {own} / {base}", ratio, 1.3))
        ratio = median_ratio(table[QPAX], table[EXACT], "both")
        limit = 4 if name == "64x50x50" else 2
        targets.append(Target(f"{name} qpax / ours, JAX (Exact)", ratio, limit, at_least=True))
    targets.append(Target("forward passes found again", found_again(), 0.99, at_least=True))
    print_targets(targets)
    save_json(options.out / "jax_qp.json", {"tau": TAU, "instances": parts}, targets)
    draw(options.out / "jax_qp.png", "QP layers in JAX, batch x variables x rows", tables)


if __name__ == "__main__":
    main()
