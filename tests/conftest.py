"""Deterministic hypothesis: a failure here fails everywhere."""

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("lpgd.testing")

settings.register_profile("deterministic", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("deterministic")
