"""Losses that a problem takes in whole, instead of their linearisation."""
