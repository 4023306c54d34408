"""Hostile calls of the layers, judged by checks that share no code with the library."""
