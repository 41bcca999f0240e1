"""The order of several sources: at every row each has had its share."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.training.interleave import Interleaving

WEIGHTS = st.lists(st.integers(1, 60), min_size=1, max_size=7)


@settings(max_examples=60, deadline=None)
@given(WEIGHTS)
def test_every_source_is_within_a_row_of_its_share_at_every_row(weights):
    named = {f"source {i}": weight for i, weight in enumerate(weights)}
    order, total = Interleaving(named), sum(weights)
    counts = [order.before(row) for row in range(2 * total + 2)]
    for row, count in enumerate(counts):
        assert sum(count.values()) == row
        assert all(abs(count[name] - row * weight / total) < 1 for name, weight in named.items())
    for row, (before, after) in enumerate(itertools.pairwise(counts)):
        chosen = order.next(row)
        assert after == {**before, chosen: before[chosen] + 1}


@pytest.mark.parametrize("weights", [{"a": 0.123456789, "b": 0.2, "c": 0.7}, {"a": 3e9, "b": 1.1e9, "c": 7}])
def test_shares_without_a_small_common_denominator_are_kept_to_a_thousandth_of_a_percent(weights):
    order, total = Interleaving(weights), sum(weights.values())
    for row in (1_000, 123_456, 10**7):
        for name, count in order.before(row).items():
            assert count == pytest.approx(row * weights[name] / total, abs=1 + 1e-5 * row)


def test_only_the_ratio_counts_and_weights_of_zero_are_never_read():
    tokens, shares = ({"a": 5e6, "b": 3e6, "c": 2e6, "d": 0}, {"a": 0.5, "b": 0.3, "c": 0.2})
    assert Interleaving(tokens).before(777) == Interleaving(shares).before(777)
