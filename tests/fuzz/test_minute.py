"""A minute of hostile calls, the same every time; benchmarks/fuzz.py makes as many as one likes.

What fails is printed as a line for that script, which repeats it. Making it small would take longer
than finding it: that, too, is left to the script.
"""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz import hunt, judge
from tests.fuzz.draws import Draw

# cases of each layer, 12 s or less of an idle core
CASES = {"qp": 45, "lp": 35, "conic": 20, "cvxpy": 20, "misuse": 100}


class Drawn(Draw):
    """Choices that hypothesis makes, and makes smaller; the numbers come from the seed."""

    def __init__(self, source: st.DataObject) -> None:
        super().__init__(source.draw(st.integers(0, 2**32 - 1), label="seed"))
        self.source = source

    def _index(self, name: str, weights: Sequence[int]) -> int:
        places = [i for i, weight in enumerate(weights) for _ in range(weight)]
        return self.source.draw(st.sampled_from(places), label=name)


@pytest.mark.parametrize("layer", judge.NAMES)
def test_nothing_is_found(layer: str) -> None:
    @settings(
        derandomize=True, deadline=None, max_examples=CASES[layer], database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(st.data())
    def run(source: st.DataObject) -> None:
        draw = Drawn(source)
        found, _ = judge.examine(layer, draw)
        assert not found, "\n".join([*map(str, found), hunt.command(layer, draw.seed, draw.taken)])

    run()
