"""Problem families: their Lagrangians, gradients and tilts. No solver, no framework."""
