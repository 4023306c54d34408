"""Items, their values, and which of them are chosen."""

import numpy as np

from lpgd.experiments.decisions.task import DecisionTask
from lpgd.experiments.plotting import INK, PALETTE, new_figure, save
from lpgd.experiments.runs import RunDirectory

_SAMPLES = 3


def draw_items(task: DecisionTask, run: RunDirectory) -> None:
    """Draw true values of the items of some instances, the best choice and the one decided."""
    cases = task.split.test[:_SAMPLES]
    decided = task.decide(cases)
    figure, axes = new_figure(len(cases), 1, (9, 1.9 * len(cases)))
    for row, axis in enumerate(axes):
        values, best = -cases.costs[row].numpy(), cases.best[row].numpy() > 0
        order = np.argsort(-values)
        at = np.arange(len(values))
        axis.bar(at, values[order], color=np.where(best[order], PALETTE[0], "#d9d9d9"))
        chosen = at[decided[row][order] > 0]
        axis.plot(chosen, np.zeros(len(chosen)), "^", color=PALETTE[1], clip_on=False,
                  label="decided")  # fmt: skip
        axis.set(xticks=[], ylabel="value")
    axes[0].set_title("blue: best choice, orange: decided", color=INK)
    save(figure, run.figure("items"))
