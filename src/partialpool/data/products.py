"""Covariates of files too long to keep the rows of: what the engine adds up of them by group.

Columns are added up about their means in each group, which a first pass finds, so that sums are no
larger than what is sought of them; what rounding left of the means, the second pass takes out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.data.columns import changed, check_names, group_column, refuse_marks, spelling_of
from partialpool.data.engine import Numbers, Source, open_engine, plain, quoted_text
from partialpool.data.files import within
from partialpool.data.grouped import GroupedData
from partialpool.data.rows import refuse_doubtful_points
from partialpool.data.sources import open_source
from partialpool.data.spelling import BLANKS
from partialpool.errors import InputError
from partialpool.families.adjusting import levels_of, missing, refuse_many, refuse_same
from partialpool.families.covariates import names_of_levels
from partialpool.families.moments import GroupStats
from partialpool.families.within import WithinSums
from partialpool.types import FloatArray

if TYPE_CHECKING:
    import duckdb

_MOST_SUMS = 10**8
"""Sums that are held at once: of each group, for each pair of columns."""


@dataclass(frozen=True)
class Sums:
    """What rows say of columns that their outcomes are adjusted for.

    Attributes
    ----------
    names
        Names of the columns, of numbers and of levels of categories.
    levels
        Levels of each category, its reference first.
    means
        Of each column in each group, shape (J, K).
    within
        Sums of products of deviations from these, with each other and the outcome.
    ends
        Smallest and largest value of each column, shape (2, K).
    """

    names: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    means: FloatArray
    within: WithinSums
    ends: FloatArray


def sums_of_files(data: GroupedData, columns: Sequence[str]) -> Sums:
    """Add up columns of files by group.

    Parameters
    ----------
    data
        Observations of which only the statistics by group are at hand, and the files.
    columns
        Names of columns of numbers or of categories.

    Raises
    ------
    InputError
        There is no such column, a value is missing, a covariate is the same in all rows, there are
        too many levels, or the files cannot be read or have changed.
    """
    import duckdb

    check_names(data, columns)
    stats = data.stats
    assert isinstance(stats, GroupStats)
    paths = [Path(file) for file in data.reading["files"]]
    with open_engine() as engine:
        source = open_source(engine, paths, spelling_of(data))
        try:
            return _Adding(data, stats, source, engine).sums(columns)
        except duckdb.Error as error:
            raise InputError(f"{source.where}: cannot be read ({error})") from None


@dataclass(frozen=True)
class _Adding:
    data: GroupedData
    stats: GroupStats
    source: Source
    engine: duckdb.DuckDBPyConnection

    @property
    def where(self) -> str:
        return self.data.source or self.data.name

    @property
    def outcome(self) -> Numbers:
        return self.source.numbers(self.data.reading["columns"]["value"])

    def sums(self, columns: Sequence[str]) -> Sums:
        """See what columns hold, keep that as numbers, and add up these by group, twice."""
        numbers = self._numbers(columns)
        names: list[str] = []
        kept: list[str] = []
        sql: list[str] = []
        levels: dict[str, tuple[str, ...]] = {}
        for k, column in enumerate(columns):
            if (number := numbers[column]) is not None:
                names.append(column)
                kept.append(number.number)
                sql.append(f"x{k}")
            else:
                levels[column] = known = self._levels(column)
                names += names_of_levels(column, known)
                listed = ", ".join(map(quoted_text, known))
                kept.append(f"CAST(list_position([{listed}], {self._text(column)}) AS INTEGER)")
                sql += [f"CAST(x{k} = {at} AS DOUBLE)" for at in range(2, len(known) + 1)]
            refuse_many(column, len(names), self.stats.N, levels, where=self.where)
        J, K = self.stats.J, len(names)
        if J * K**2 > _MOST_SUMS:
            raise InputError(
                f"{self.where}: {J:,} groups with {K} columns of covariates are too many to add "
                "up the products of each; take levels of categories together, or leave some out"
            )
        self._keep(kept)
        means, ends = self._means(sql)
        for k, name in enumerate(names):
            refuse_same(name, *ends[:, k].tolist(), where=self.where)
        return Sums(tuple(names), levels, means, self._products(sql, means), ends)

    def _numbers(self, columns: Sequence[str]) -> dict[str, Numbers | None]:
        """SQL of the columns that hold numbers, None of others; and see that nothing is missing."""
        found: dict[str, Numbers | None] = {}
        for column in columns:
            try:
                found[column] = self.source.numbers(column)
            except InputError:  # of another kind
                found[column] = None
        numeric = {column: own for column, own in found.items() if own is not None}
        lacking = self._one_row([f"count_if(({own.quick}) IS NULL)" for own in numeric.values()])
        for (column, own), count in zip(numeric.items(), lacking, strict=True):
            if not count:
                found[column] = replace(own, number=own.quick)
                continue
            if self._some(f"({own.number}) IS NULL AND NOT ({own.missing})"):
                found[column] = None
            elif gaps := self._one_row([f"count_if({own.missing})"])[0]:
                raise missing(column, self._first_gap(column, own), gaps, where=self.where)
        for column in [column for column, own in found.items() if own is None]:
            gap = f"lower({self._text(column)}) IN ({self._words})"
            if gaps := self._one_row([f"count_if({gap})"])[0]:
                raise missing(column, self._first_gap(column, None), gaps, where=self.where)
        for column in columns:
            if found[column] is not None:
                refuse_doubtful_points(
                    self.source.begin(column),
                    paths=self.source.paths,
                    column=column,
                    spelling=self.source.spelling,
                )
        return found

    @property
    def _words(self) -> str:
        return ", ".join(quoted_text(word) for word in sorted(self.source.spelling.words))

    def _text(self, column: str) -> str:
        """SQL of a column as text, without blanks around it."""
        return f"trim(coalesce({self.source.text(column)}, ''), {quoted_text(BLANKS)})"

    def _one_row(self, asked: Sequence[str]) -> tuple[int, ...]:
        """Ask something of all rows that have an outcome."""
        if not asked:
            return ()
        query = f"SELECT {', '.join(asked)} FROM {self.source.table}{self._with_outcome}"
        [found] = self.engine.execute(query).fetchall()
        return tuple(found)

    def _some(self, condition: str) -> bool:
        """Whether some row that has an outcome meets a condition."""
        where = f"{self._with_outcome} AND" if self._with_outcome else " WHERE"
        query = f"SELECT 1 FROM {self.source.table}{where} {condition} LIMIT 1"
        return bool(self.engine.execute(query).fetchall())

    @property
    def _with_outcome(self) -> str:
        """SQL that leaves out rows without an outcome, where there may be some."""
        some = self.data.reading["drop_missing"]
        return f" WHERE ({self.outcome.number}) IS NOT NULL" if some else ""

    def _first_gap(self, column: str, numbers: Numbers | None) -> str:
        """Place of the first row that lacks a covariate, and its group."""
        spelling, source = self.source.spelling, self.source
        wanted = [group_column(self.data), self.outcome.name, column]
        for place, (label, outcome, text) in source.rows(wanted, keep_empty=True):
            y = spelling.number(outcome)
            x = spelling.number(text) if numbers is not None else None
            gap = x is None or math.isnan(x) if numbers is not None else not self._told(text)
            if y is not None and y == y and gap:
                return f"{within(source.paths, place)} (group {label.strip()!r})"
        raise changed(self.data)

    def _told(self, text: str) -> bool:
        return text.strip().lower() not in self.source.spelling.words

    def _levels(self, column: str) -> tuple[str, ...]:
        """Levels of a category."""
        text = self._text(column)
        query = f"SELECT DISTINCT {text} FROM {self.source.table}{self._with_outcome}"
        found = [text for (text,) in self.engine.execute(query).fetchall()]
        refuse_marks(found, self.data, column, lambda _: "")
        return levels_of(column, found, where=self.where)

    def _keep(self, kept: Sequence[str]) -> None:
        """Keep group, outcome and columns of each row that has an outcome, as numbers."""
        import pandas as pd

        labels = {"label": list(self.stats.labels), "place": np.arange(self.stats.J)}
        self.engine.register("labels", pd.DataFrame(labels))
        label = self.source.text(group_column(self.data))
        columns = ", ".join(f"{each} AS x{k}" for k, each in enumerate(kept))
        self.engine.execute(
            "CREATE TEMP TABLE kept AS SELECT * EXCLUDE label FROM "
            f"(SELECT trim({label}, {quoted_text(BLANKS)}) AS label, {self.outcome.number} AS v, "
            f"{columns} FROM {self.source.table}) JOIN labels USING (label) WHERE v IS NOT NULL"
        )

    def _by_group(self, asked: Sequence[str], rows: str) -> dict[str, FloatArray]:
        query = f"SELECT {', '.join(asked)} FROM {rows} GROUP BY place ORDER BY place"
        found: dict[str, Any] = self.engine.execute(query).fetchnumpy()
        return {name: plain(values) for name, values in found.items()}

    def _means(self, sql: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Mean of each column in each group, shape (J, K), and its ends, shape (2, K)."""
        asked = ["count(*) AS n"]
        for k, each in enumerate(sql):
            asked += [f"{one}({each}) AS {one}{k}" for one in ("avg", "min", "max")]
        found = self._by_group(asked, "kept")
        if found["n"].tolist() != self.stats.n.tolist():
            raise changed(self.data)
        means, low, high = (
            np.column_stack([found[f"{one}{k}"] for k in range(len(sql))])
            for one in ("avg", "min", "max")
        )
        return means, np.stack([low.min(axis=0), high.max(axis=0)])

    def _products(self, sql: Sequence[str], means: FloatArray) -> WithinSums:
        """Sums of products about the means; these are corrected in place."""
        import pandas as pd

        stats, K = self.stats, len(sql)
        centers = {f"c{k}": means[:, k] for k in range(K)}
        table = pd.DataFrame({"place": np.arange(stats.J), "cv": stats.mean, **centers})
        self.engine.register("centers", table)
        apart = [f"({each} - c{k})" for k, each in enumerate(sql)]
        asked = ["fsum(v - cv) AS sv"]
        for k in range(K):
            asked += [f"fsum({apart[k]}) AS s{k}", f"fsum({apart[k]} * (v - cv)) AS xy{k}"]
            asked += [
                f"fsum({apart[k]} * {apart[other]}) AS xx{k}_{other}" for other in range(k + 1)
            ]
        found = self._by_group(asked, "kept JOIN centers USING (place)")
        n = stats.n.astype(np.float64)
        first = np.column_stack([found[f"s{k}"] for k in range(K)])
        xy = np.column_stack([found[f"xy{k}"] for k in range(K)])
        xy -= first * (found["sv"] / n)[:, None]
        xx = np.empty((stats.J, K, K))
        for k in range(K):
            for other in range(k + 1):
                own = found[f"xx{k}_{other}"] - first[:, k] * first[:, other] / n
                xx[:, k, other] = xx[:, other, k] = own
        for k in range(K):
            xx[:, k, k] = np.maximum(xx[:, k, k], 0.0)
        alone = stats.n == 1
        xx[alone], xy[alone] = 0.0, 0.0
        means += first / n[:, None]
        return WithinSums(xx, xy)
