"""The figure of a comparison."""

from itertools import pairwise

import pytest

pytest.importorskip("torch", reason="experiments train models of torch")

from lpgd.experiments.comparison import Final
from lpgd.experiments.contest import Outcome
from lpgd.experiments.decisions import figures
from lpgd.experiments.methods import choose_methods
from lpgd.experiments.shortest_path.commands import METHODS


@pytest.mark.parametrize("last", [0.2, 0.003])
def test_labels_of_the_regret_do_not_overlap(last, tmp_path, monkeypatch):
    """From 30 % to a half, or over two decades."""
    drawn = []

    def kept(figure, path):
        figure.canvas.draw()
        drawn.append(figure)

    monkeypatch.setattr(figures, "save", kept)
    (method,) = choose_methods(METHODS, ["average"])
    curves = {"regret": [0.3, last], "solved": [500.0, 9000.0]}
    outcome = Outcome(None, 15, True, [1.0, 15.0], [0.1, 3.0], curves, 0)
    figures.draw_comparison([Final(method, None, [outcome])], tmp_path / "compare.png", "")
    axis = drawn[0].axes[0]
    boxes = [
        label.get_window_extent()
        for label in axis.get_yticklabels(which="both")
        if label.get_text() and axis.bbox.y0 <= label.get_window_extent().y1 <= axis.bbox.y1
    ]
    boxes.sort(key=lambda box: box.y0)
    assert len(boxes) > 1
    assert all(low.y1 <= high.y0 for low, high in pairwise(boxes))
