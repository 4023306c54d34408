"""HiGHS: large or sparse LPs by the revised simplex method, hot-started from a kept basis."""
