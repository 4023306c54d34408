"""Shortest paths on terrain whose costs a network reads from an image."""
