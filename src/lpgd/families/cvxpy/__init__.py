"""CVXPY problems, compiled to cone programs."""
