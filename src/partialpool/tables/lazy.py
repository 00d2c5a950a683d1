"""Tables that are computed when they are first asked for, each on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pandas as pd

from partialpool.progress import Progress


class Tables(Mapping[str, pd.DataFrame]):
    """Frames by name. One that fails is left out, and named in `failed`.

    Attributes
    ----------
    failed
        Name to the reason, for tables that could not be computed, as far as they were asked for.
    """

    def __init__(self, makers: Mapping[str, Callable[[], pd.DataFrame]]) -> None:
        self._makers, self._made = dict(makers), dict[str, pd.DataFrame]()
        self.failed: dict[str, str] = {}

    def __getitem__(self, key: str) -> pd.DataFrame:
        """Return a table; computing it the first time."""
        if key not in self._made:
            if key in self.failed or key not in self._makers:
                raise KeyError(key)
            try:
                self._made[key] = self._makers[key]()
            except Exception as error:  # one table that fails must not take the others with it
                self.failed[key] = f"{type(error).__name__}: {error}"
                raise KeyError(key) from error
        return self._made[key]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the tables that can be computed, computing all."""
        return iter([key for key in self._makers if key in self])

    def __len__(self) -> int:
        """Count the tables that can be computed."""
        return len(list(iter(self)))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tables, those that would fail among them; nothing is computed."""
        return tuple(self._makers)


def names_of(tables: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    """Names of tables, of which nothing is computed."""
    return tables.names if isinstance(tables, Tables) else tuple(tables)


def complete(tables: Mapping[str, pd.DataFrame], *, progress: Progress | None = None) -> None:
    """Compute the tables that nobody has asked for yet."""
    every = names_of(tables)
    progress = progress or Progress()
    with progress.task(f"Computing {len(every)} tables", total=len(every)) as task:
        for name in every:
            tables.get(name)
            task.advance()
