"""Engines for problems that are known by their Lagrangian."""
