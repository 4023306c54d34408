"""Oracles as engines."""
