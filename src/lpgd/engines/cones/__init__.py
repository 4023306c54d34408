"""Engines for cone programs."""
