"""Learning the rules of Sudoku from examples: a linear program whose constraints are learned."""
