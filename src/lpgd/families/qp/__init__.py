"""Quadratic and linear programs."""
