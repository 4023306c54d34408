"""Engines: adapters that solve problem families with existing solvers."""
