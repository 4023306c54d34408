"""Solves of a batch of LPs, each in units that fit its data and its solution."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpgd.core.solution import FloatArray, IntArray, Solution, Status, among
from lpgd.engines.batch import spread, useful_threads
from lpgd.engines.highs.batch import Batch
from lpgd.engines.highs.matrix import Exponents, exponents
from lpgd.engines.highs.run import BASIC, LOWER, UPPER, ZERO, Basis, Found, Options, solve

DECIDED = (Status.OPTIMAL, Status.TIME_LIMIT)
PAYS = 2_000  # entries of the matrix from which threads pay


@dataclass(frozen=True)
class Answers:
    """What HiGHS found, in the units of the batch; rows without a solution are zero."""

    status: NDArray[np.int8]  # (N,)
    runs: IntArray  # (N,)
    x: FloatArray  # (N, n)
    reduced: FloatArray  # (N, n) multipliers of lower minus those of upper bounds
    activity: FloatArray  # (N, M) the rows at x
    loads: FloatArray  # (N, M) multipliers of the rows, with the opposite of our sign
    basis: Basis  # (N, n + M)
    rays: dict[int, Any] = field(default_factory=dict[int, Any])  # see ``Found.ray``

    @classmethod
    def blank(cls, size: int, rows: int, n: int) -> Answers:
        """Room for answers."""
        status = np.full(size, Status.NUMERICAL, dtype=np.int8)
        columns, sides = (size, n), (size, rows)
        return cls(
            status, np.zeros(size, dtype=np.intp), np.zeros(columns), np.zeros(columns),
            np.zeros(sides), np.zeros(sides), np.zeros((size, n + rows), dtype=np.int8),
        )  # fmt: skip

    def record(self, row: int, found: Found) -> None:
        """Take an answer down."""
        self.status[row] = found.status
        self.rays[row] = found.ray
        if found.status == Status.OPTIMAL:
            answer, n = found.answer, self.x.shape[1]
            self.x[row], self.reduced[row] = answer.col_value, answer.col_dual
            self.activity[row], self.loads[row] = answer.row_value, answer.row_dual
            if found.basic is not None:
                basic = found.basic
                self.basis[row, np.where(basic < 0, n - 1 - basic, basic)] = BASIC

    def settle(self, batch: Batch, rows: IntArray, zoom: Exponents) -> None:
        """Complete bases and leave HiGHS's units, after a sweep over these rows."""
        point, money = -zoom[rows, :1], -zoom[rows, 1:]
        if zoom[rows].any():
            self.x[rows] = np.ldexp(self.x[rows], point)
            self.activity[rows] = np.ldexp(self.activity[rows], point)
            self.reduced[rows] = np.ldexp(self.reduced[rows], money)
            self.loads[rows] = np.ldexp(self.loads[rows], money)
        rows = rows[self.status[rows] == Status.OPTIMAL]
        lower, upper, x = batch.lower[rows], batch.upper[rows], self.x[rows]
        above = np.concatenate([upper - x < x - lower, batch.row_lower[rows] == -np.inf], axis=1)
        basic = self.basis[rows] == BASIC
        whole = basic.sum(axis=1, keepdims=True) == batch.row_upper.shape[1]
        codes = np.where(basic, BASIC, np.where(above, UPPER, LOWER))
        self.basis[rows] = np.where(whole, codes, 0)

    def take(self, other: Answers, rows: IntArray) -> None:
        """Replace rows by those of others that are solved."""
        self.runs[rows] += other.runs[rows]
        better = rows[other.status[rows] == Status.OPTIMAL]
        for name in ("x", "reduced", "activity", "loads", "basis"):
            getattr(self, name)[better] = getattr(other, name)[better]

    def finer(self, batch: Batch, zoom: Exponents) -> Exponents:
        """Units for solutions that are small in those of HiGHS: its tolerances are absolute.

        A point at zero may break rows by all that they ask for: the smallest has the say.
        """
        point, money = (
            np.maximum(*(np.abs(part).max(axis=1, initial=0.0) for part in pair))
            for pair in ((self.x, self.activity), (self.reduced, self.loads))
        )
        sides = np.abs(batch.row_upper)
        asked = sides.min(axis=1, initial=1.0, where=sides > 0)
        sizes = np.stack([np.where(point > 0, point, asked), money], axis=1)
        return np.maximum(exponents(np.ldexp(sizes, zoom)), 0)


@dataclass(frozen=True)
class Sweep:
    """Runs HiGHS over rows of a batch."""

    batch: Batch
    options: Options
    threads: int | None
    answers: Answers

    def all(self, start: Solution | None) -> None:
        """Solve every element, from its basis where ``start`` has one."""
        batch, answers, zoom = self.batch, self.answers, self.batch.zoom
        bases = None if start is None else start.basis
        if bases is not None and bases.shape == answers.basis.shape:
            whole = (bases == BASIC).sum(axis=1) == batch.row_upper.shape[1]
            self.some(np.flatnonzero(whole), zoom, bases)
        # Believe a failure only from a cold start. A time limit is not to be spent twice.
        self.some(np.flatnonzero(~among(answers.status, *DECIDED)), zoom)
        failed = (answers.status == Status.NUMERICAL) & (batch.coarse != zoom).any(axis=1)
        self.some(np.flatnonzero(failed), batch.coarse)
        zoom = np.where(failed[:, None], batch.coarse, zoom)
        finer = answers.finer(batch, zoom)
        small = np.flatnonzero((answers.status == Status.OPTIMAL) & finer.any(axis=1))
        if len(small):
            again = replace(self, answers=Answers.blank(*batch.shape))
            again.some(small, zoom + finer, answers.basis)
            answers.take(again.answers, small)

    def some(self, rows: IntArray, zoom: Exponents, bases: Basis | None = None) -> None:
        """Solve some elements."""
        if not len(rows):
            return
        batch, answers = self.batch, self.answers
        codes = None if bases is None else _fitting(batch, bases)
        options = self.options.cold if codes is None else self.options.hot

        def work(chosen: IntArray) -> None:
            for row in rows[chosen].tolist():
                found = solve(batch.lp(row, zoom), options, None if codes is None else codes[row])
                answers.record(row, found)

        # HiGHS has a scheduler for each calling thread, whose size the first run there decides for
        # good: in threads of our own it collides with no other user of HiGHS.
        useful = useful_threads(self.threads, len(batch.matrix.layout.cols), PAYS)
        spread(work, len(rows), useful, apart=True)
        answers.runs[rows] += 1
        answers.settle(batch, rows, zoom)


def solution(batch: Batch, answers: Answers) -> Solution:
    """Answers in the user's units with our multipliers, free of wrong signs by rounding.

    Those that are infinite in these units are none.
    """
    y = batch.multipliers(-answers.loads, answers.reduced, -answers.reduced)
    x = batch.leave(np.clip(answers.x, batch.lower, batch.upper))
    solved = answers.status == Status.OPTIMAL
    usable = solved & np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
    status = np.where(solved & ~usable, Status.NUMERICAL, answers.status).astype(np.int8)
    x, y, basis = (np.where(usable[:, None], part, 0) for part in (x, y, answers.basis))
    return Solution(x, y, status, basis=basis)


def _fitting(batch: Batch, bases: Basis) -> Basis:
    """Bases in which nothing lies at a bound that is not there."""
    lower = np.isfinite(np.concatenate([batch.lower, batch.row_lower], axis=1))
    upper = np.isfinite(np.concatenate([batch.upper, batch.row_upper], axis=1))
    away = np.where(upper & ((bases == UPPER) | ~lower), UPPER, np.where(lower, LOWER, ZERO))
    return np.where(bases == BASIC, BASIC, away)
