"""The commands ``lpgd run NAME``, ``lpgd tune NAME`` and ``lpgd compare NAME``.

An experiment adds a function per command below, in its own ``commands.py``, and a line here.
"""

import typer

from lpgd.experiments.knapsack.commands import compare_knapsack, run_knapsack, tune_knapsack
from lpgd.experiments.markowitz.commands import compare_markowitz, run_markowitz
from lpgd.experiments.shortest_path.commands import (
    compare_shortest_path,
    run_shortest_path,
    tune_shortest_path,
)
from lpgd.experiments.sudoku.commands import compare_sudoku, run_sudoku
from lpgd.experiments.terminal import OneLineRefusals
from lpgd.experiments.terrain.commands import compare_terrain, run_terrain, tune_terrain

app = typer.Typer(
    cls=OneLineRefusals,
    help="Experiments with Lagrangian proximal gradient descent.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
run = typer.Typer(help="Train one model.", no_args_is_help=True)
tune = typer.Typer(
    help="Choose the settings of gradient rules by validation.", no_args_is_help=True
)
compare = typer.Typer(
    help="Compare gradient rules, each with its best settings.", no_args_is_help=True
)
app.add_typer(run, name="run")
app.add_typer(tune, name="tune")
app.add_typer(compare, name="compare")

run.command("sudoku")(run_sudoku)
run.command("markowitz")(run_markowitz)
run.command("shortest-path")(run_shortest_path)
run.command("terrain")(run_terrain)
run.command("knapsack")(run_knapsack)
tune.command("shortest-path")(tune_shortest_path)
tune.command("terrain")(tune_terrain)
tune.command("knapsack")(tune_knapsack)
compare.command("sudoku")(compare_sudoku)
compare.command("markowitz")(compare_markowitz)
compare.command("shortest-path")(compare_shortest_path)
compare.command("terrain")(compare_terrain)
compare.command("knapsack")(compare_knapsack)
