"""How to sample."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from partialpool.errors import InputError

ADAPT_DELTA = 0.9
"""Target acceptance rate of programs without a funnel."""

ADAPT_DELTA_OF_SDS = 0.7
"""Target acceptance rate of programs that sample tau and integrate the group effects out. Few
parameters allow long steps: on the homework data the smallest ESS is a tenth larger than at 0.8,
for three quarters of the gradients. Of 528 fits to data sets of 3 to 100
groups of 1 to 100 observations one fails its diagnostics."""

ADAPT_DELTA_OF_CHOICES = 0.8
"""The same for refits under other priors. Those that fall faster than any power of tau, as the
half-normal does, have steeper slopes: where few groups leave the prior much to say, 9 of 170 fits
fail their diagnostics at 0.7, and one at 0.8."""

ADAPT_DELTA_IN_FUNNEL = 0.995
"""Target acceptance rate of programs that sample group effects together with their sd tau. On the
homework data none of 30 seeds gave a divergence; at 0.98 and 0.99 one seed in 30 did."""


@dataclass(frozen=True)
class Settings:
    """How to sample.

    Attributes
    ----------
    chains
        Number of Markov chains.
    warmup, draws
        Iterations of each chain that adapt, and that are kept.
    adapt_delta
        Target acceptance rate of the adaptation, between 0 and 1; where None, `ADAPT_DELTA`,
        `ADAPT_DELTA_OF_SDS` or `ADAPT_DELTA_IN_FUNNEL`, by the program.
    max_treedepth
        Bound on the depth of NUTS's trees.
    seed
        Seed of all chains; chain k uses stream k of it.
    data_inits
        Start `mu`, `tau`, `sigma`, `theta` near the data's moments, spread out over chains, where
        a program has parameters of these names; False leaves all starts to Stan.
    survivors
        Go on with the chains that finished where others failed. The fit is labelled so, and fails
        its diagnostics: what stopped a chain may lie where the survivors have not been.

    Examples
    --------
    >>> import partialpool as pp
    >>> pp.Settings(draws=1000).chains
    4
    """

    chains: int = 4
    warmup: int = 1000
    draws: int = 2000
    adapt_delta: float | None = None
    max_treedepth: int = 10
    seed: int = 1
    data_inits: bool = True
    survivors: bool = False

    def __post_init__(self) -> None:
        limits = (
            ("chains", self.chains >= 1, "at least 1"),
            ("warmup", self.warmup >= 1, "at least 1"),
            ("draws", self.draws >= 4, "at least 4"),
            (
                "adapt_delta",
                self.adapt_delta is None or 0 < self.adapt_delta < 1,
                "between 0 and 1",
            ),
            ("max_treedepth", self.max_treedepth >= 1, "at least 1"),
            ("seed", 0 <= self.seed < 2**32, "between 0 and 4294967295"),
        )
        for name, holds, must in limits:
            if not holds:
                raise InputError(f"{name} = {getattr(self, name)}: it must be {must}")

    def settled(self, adapt_delta: float) -> Settings:
        """Fill in what depends on the program, where it is left open."""
        if self.adapt_delta is not None:
            return self
        return dataclasses.replace(self, adapt_delta=adapt_delta)
