"""Sentences that state results, made from the numbers.

Each function returns sentences for one part of the report. Numbers carry the digits that their
Monte Carlo error supports. What a fit that failed a diagnostic would say is withheld.
"""

from partialpool.report.sentences.data import about_data as about_data
from partialpool.report.sentences.groups import NOT_A_TEST as NOT_A_TEST
from partialpool.report.sentences.groups import compared as compared
from partialpool.report.sentences.groups import leading_movers as leading_movers
from partialpool.report.sentences.groups import not_a_test as not_a_test
from partialpool.report.sentences.groups import ranked as ranked
from partialpool.report.sentences.groups import shrinkage as shrinkage
from partialpool.report.sentences.models import complete as complete
from partialpool.report.sentences.models import none as none
from partialpool.report.sentences.models import partial as partial
from partialpool.report.sentences.prediction import checked as checked
from partialpool.report.sentences.prediction import predicted as predicted
from partialpool.report.sentences.short import in_short as in_short
