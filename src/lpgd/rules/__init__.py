"""Rules: what stands in for the derivative of a solver."""
