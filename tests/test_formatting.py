"""Numbers show the digits that their Monte Carlo error supports."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partialpool.text import beside, digits, format_estimate, in_full, of_data, share, short


@pytest.mark.parametrize(
    ("value", "mcse", "shown"),
    [
        (9.11512, 0.012, "9.12"),
        (9.11512, 0.06, "9.1"),
        (9.11512, 0.0002, "9.1151"),
        (12345.6, 123.0, "12300"),
        (-0.004, 0.1, "0.0"),
        (0.0, 0.01, "0.00"),
        (7.0, 0.0, "7.000"),
        (0.20869, math.nan, "0.2087"),
        (1234567.8, math.nan, "1235000"),
        (3.21e-9, 2e-11, "3.21e-09"),
        (3.2123e12, 1e10, "3.21e+12"),
        (math.nan, 0.1, "NaN"),
        (-math.inf, 0.1, "-inf"),
    ],
)
def test_examples(value: float, mcse: float, shown: str) -> None:
    assert format_estimate(value, mcse) == shown


@pytest.mark.parametrize(
    ("value", "spread", "shown"),
    [
        (1e9 + 0.18, 1.08, "1000000000.2"),
        (-1e9 - 0.18, 1.08, "-1000000000.2"),
        (7.6862, 10.0, "7.686"),
        (123456.0, 1e6, "1.235e+05"),
        (1e17, 1.0, "1e+17"),
        (0.0, 1.0, "0"),
        (3.0, 0.0, "3"),
        (5.0, math.nan, "5"),
    ],
)
def test_a_number_beside_others_has_the_digits_that_tell_them_apart(
    value: float, spread: float, shown: str
) -> None:
    assert beside(value, spread) == shown


@given(st.floats(-1e12, 1e12))
def test_a_number_in_full_is_read_as_itself(value: float) -> None:
    assert float(in_full(value)) == pytest.approx(value, rel=1e-14)
    assert float(in_full(round(value, 2))) == round(value, 2)


def test_a_number_in_full_has_no_more_digits_than_it_needs() -> None:
    for value, shown in ((1e9 + 0.03, "1000000000.03"), (0.1 + 0.2, "0.3"), (20.0, "20")):
        assert in_full(value) == shown


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_the_error_is_of_the_order_of_the_last_digit(value: float, mcse: float) -> None:
    unit = 10.0 ** -digits(value, mcse)
    assert 0.31 <= mcse / unit <= 3.2


@given(st.floats(-1e12, 1e12), st.floats(1e-12, 1e9))
def test_what_is_shown_is_within_the_unit_of_the_value(value: float, mcse: float) -> None:
    unit = 10.0 ** -digits(value, mcse)
    slack = max(unit / 2 * (1 + 1e-6), abs(value) * 1e-14)
    shown = float(format_estimate(value, mcse))
    assert abs(shown - value) <= slack or abs(value) < unit


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.01, "0.010"),
        (0.0081, "0.0081"),
        (6e-05, "6.0e-05"),
        (12.0, "12"),
        (99.6, "100"),
        (0.5, "0.50"),
        (250.4, "250"),
    ],
)
def test_errors_have_two_digits(value: float, shown: str) -> None:
    assert short(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0.00"), (0.0004, "<0.01"), (0.014, "0.01"), (0.998, ">0.99"), (1.0, "1.00")],
)
def test_shares_are_not_rounded_to_an_end(value: float, shown: str) -> None:
    assert share(value) == shown


@given(st.floats(1e-9, 1 - 1e-9), st.floats(1e-6, 1))
def test_a_share_is_never_shown_as_0_or_1(value: float, mcse: float) -> None:
    assert 0 < float(format_estimate(value, mcse, of="icc")) < 1
    assert float(format_estimate(value, mcse, of="tau2")) > 0


@pytest.mark.parametrize(
    ("value", "spread", "shown"),
    [(12.001, 4.1, "12.00"), (9.4642, 4.1, "9.46"), (1000000.44, 0.44, "1000000.440"),
     (1545.0, 63.0, "1545.0"), (-0.0001, 4.1, "0.00"), (3.0, 0.0, "3.000")],
)  # fmt: skip
def test_statistics_have_the_digits_of_the_spread(value: float, spread: float, shown: str) -> None:
    assert of_data(value, spread) == shown
    assert float(of_data(1e-4, 4.1, error=True)) == 1e-4
