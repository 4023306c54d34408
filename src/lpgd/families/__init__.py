"""Problem families: structure and mathematics."""
