"""Warmup, trunk and decays."""

import pytest
from pydantic import ValidationError

from hornbook.training.schedule import Segment, learning_rate_factor, plan_segments
from tests.training.stores import config


def test_decays_branch_off_one_trunk_and_end_at_their_budgets():
    segments = plan_segments(config(budgets=(5120, 2560), decay_share=0.25))
    assert segments == [
        Segment("trunk", 0, 15),
        Segment("2560", 15, 20),
        Segment("trunk", 15, 30),
        Segment("5120", 30, 40),
    ]


def test_a_decay_share_of_one_needs_no_trunk():
    assert plan_segments(config(budgets=(2560,), decay_share=1.0)) == [Segment("2560", 0, 20)]


def test_the_learning_rate_goes_up_stays_and_falls():
    settings = config()  # 4 steps of warmup
    trunk, decay = plan_segments(settings)[:2]
    assert [learning_rate_factor(step, trunk, settings) for step in range(6)] == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 1.0, 1.0]
    )
    falling = [learning_rate_factor(step, decay, settings) for step in range(decay.first, decay.last)]
    assert falling == pytest.approx([5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])


@pytest.mark.parametrize(
    "changes",
    [
        {"budgets": (100,)},
        {"budgets": (2560, 2560)},
        {"batch_tokens": 100},
        {"context": 128},
        {"lesson_share": 1.2},
        {"lesson_share": (0.2, -0.1)},
    ],
)
def test_settings_that_cannot_be_are_refused(changes):
    with pytest.raises(ValidationError):
        config(**changes)
