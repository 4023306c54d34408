"""A trading policy that is a convex program, tuned through its solutions."""
