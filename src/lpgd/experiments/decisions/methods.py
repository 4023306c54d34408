"""The rules that are compared where costs are predicted."""

from lpgd.experiments.methods import Method

TAUS = (0.1, 0.3, 1.0, 3.0, 10.0)
SIGMAS = (0.1, 0.3, 1.0)
CUSTOMARY = 10.0  # lambda of blackbox differentiation as PyEPO has it

AUTO, BLACKBOX = "auto", "blackbox"


def decision_methods(rates: tuple[float, ...], *, cave: bool = False) -> tuple[Method, ...]:
    """Return all methods, each with the learning rates to choose from."""
    others = [Method("cave", "CaVE", "cave", 0.0, (), rates)] if cave else []
    return (
        Method("two-stage", "two-stage", "two-stage", 0.0, (), rates),
        Method(BLACKBOX, "blackbox", "blackbox", 0.0, (CUSTOMARY,), rates),
        Method("identity", "identity", "identity", 0.0, (), rates),
        Method("spo-plus", "SPO+", "spo-plus", 0.0, (), rates),
        Method("fenchel-young", "perturbed FY", "fenchel-young", 0.0, (), rates, sigmas=SIGMAS),
        Method("imle", "I-MLE", "imle", 0.0, (1.0, 10.0), rates, sigmas=SIGMAS),
        *others,
        Method("lower", "LPGD lower", "lpgd", 0.0, TAUS, rates, "lower"),
        Method("upper", "LPGD upper", "lpgd", 0.0, TAUS, rates, "upper"),
        Method("average", "LPGD average", "lpgd", 0.0, TAUS, rates, "average"),
        Method(AUTO, "LPGD auto", "lpgd", 0.0, ("auto",), rates),
    )
