"""HiGHS: large or sparse LPs."""
