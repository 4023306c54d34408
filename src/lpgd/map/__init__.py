"""The map from problem data to solutions: problem, engine and rule joined."""
