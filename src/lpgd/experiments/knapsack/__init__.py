"""Knapsacks whose values a linear model predicts from features."""
