"""Proportions whose logits come from a normal population."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from partialpool.families.linked.family import LinkedFamily
from partialpool.families.linked.kind import LinkedKind
from partialpool.families.linked.likelihoods import BINOMIAL
from partialpool.families.proportions.rows import ProportionsRows
from partialpool.families.proportions.statistics import Proportions


@dataclass(frozen=True)
class LogitNormalProportions(Proportions):
    """Successes and trials of each group, whose logits come from a normal population."""

    kind = LinkedKind(BINOMIAL)


class LogitNormalFamily(LinkedFamily, ProportionsRows):
    """Successes of trials, binomial given theta, whose logit comes from a normal population."""

    name = "proportions_logit_normal"
    folder = "proportions/logit_normal"
    model: ClassVar = {"population": "logit_normal"}
    statistics: ClassVar[type[Any]] = LogitNormalProportions
    words = replace(ProportionsRows.words, population="a normal population of logits")
    likelihood = BINOMIAL
    counted = "successes"


LOGIT_NORMAL = LogitNormalFamily()
"""The family of successes of trials with a logit-normal population."""
