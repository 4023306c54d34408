"""The half of a frontend that knows no framework."""
