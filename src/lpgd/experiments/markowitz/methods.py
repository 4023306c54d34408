"""The gradient rules that are compared on the Markowitz policy."""

from typing import Literal

from lpgd.experiments.methods import Method, Tau

LEARNING_RATES = (0.01, 0.02, 0.05, 0.1, 0.2)
RHO = 0.1  # of the augmented methods; the Hessians of the program lie around 0.001 to 0.1

EXACT = Method("exact", "Exact", "exact", 0.0, (), LEARNING_RATES)
AUTO = Method("auto", "LPGD auto", "lpgd", 0.0, ("auto",), LEARNING_RATES)
_EXACT_RHO = Method("exact-rho", "Exact", "exact", RHO, (), LEARNING_RATES)

# The average side covers all decades, to see how far any of them is better than "auto".
_DECADES: dict[Literal["lower", "upper", "average"], tuple[Tau, ...]] = {
    "average": (1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4),
    "lower": (1e-2, 1e-1, 1e0, 1e1, 1e2),
    "upper": (1e-2, 1e-1, 1e0, 1e1, 1e2),
}


def _fixed(side: Literal["lower", "upper", "average"], tau: float, rho: float) -> Method:
    name = f"{side}-{tau:.0e}".replace("e-0", "e-").replace("e+0", "e") + ("-rho" if rho else "")
    return Method(name, f"LPGD {side}", "lpgd", rho, (tau,), LEARNING_RATES, side)


def _full(tau: float) -> Method:
    name = _fixed("lower", tau, 0.0).name.replace("lower", "full")
    return Method(name, "Full loss", "lpgd", 0.0, (tau,), LEARNING_RATES, "lower", loss="full")


METHODS = (
    EXACT,
    AUTO,
    *(_fixed(side, float(tau), 0.0) for side, taus in _DECADES.items() for tau in taus),
    *(_full(float(tau)) for tau in _DECADES["lower"]),
    _EXACT_RHO,
    *(_fixed(side, 1e0, RHO) for side in _DECADES),
)
