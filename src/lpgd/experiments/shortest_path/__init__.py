"""Shortest paths on a grid whose edge costs a linear model predicts from features."""
