"""Cone programs."""
