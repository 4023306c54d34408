"""The gradient rules that are compared on Sudoku."""

from lpgd.experiments.methods import Method

LEARNING_RATES = (0.02, 0.05, 0.1, 0.3)
TAUS = (1e2, 1e3, 1e4)

METHODS = (
    Method("average", "LPGD average", "lpgd", 0.1, TAUS, LEARNING_RATES, "average"),
    Method("lower", "LPGD lower", "lpgd", 0.1, TAUS, LEARNING_RATES, "lower"),
    Method("upper", "LPGD upper", "lpgd", 0.1, TAUS, LEARNING_RATES, "upper"),
    Method("small-tau", "LPGD, small τ", "lpgd", 1e-3, (1e-4,), LEARNING_RATES),
    Method("full", "Full loss", "lpgd", 0.1, TAUS, LEARNING_RATES, "lower", loss="full"),
    Method("exact-rho-1e-3", "Exact, ρ = 0.001", "exact", 1e-3, (), LEARNING_RATES),
    Method("exact-rho-1e-1", "Exact, ρ = 0.1", "exact", 1e-1, (), LEARNING_RATES),
)
