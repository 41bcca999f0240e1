"""Warmup, trunk and decays, and the schedules without a trunk."""

import math

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


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_without_a_trunk_every_budget_is_a_training_of_its_own(schedule):
    settings = config(schedule=schedule, budgets=(5120, 2560))
    assert plan_segments(settings) == [Segment("2560", 0, 20), Segment("5120", 0, 40)]


def rates(budget: int = 2560, **changes: object) -> list[float]:
    settings = config(budgets=(budget,), **changes)
    (segment,) = plan_segments(settings)
    return [learning_rate_factor(step, segment, settings) for step in range(segment.last)]


def test_a_linear_schedule_falls_from_the_end_of_warmup_to_nearly_nothing():
    assert rates(schedule="linear")[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert rates(schedule="linear")[4:] == pytest.approx([n / 17 for n in range(16, 0, -1)])


def test_a_cosine_falls_slowly_fast_and_slowly_again():
    falling = rates(schedule="cosine", warmup_tokens=0)
    assert falling == pytest.approx([(1 + math.cos(math.pi * n / 21)) / 2 for n in range(1, 21)])


def test_a_constant_schedule_stays_at_the_peak():
    assert rates(schedule="constant")[4:] == [1.0] * 16


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_a_floor_is_reached_and_not_passed(schedule):
    falling = rates(schedule=schedule, final_lr_share=0.1, budget=128 * 400, warmup_tokens=0)
    assert min(falling) == falling[-1] == pytest.approx(0.1, abs=5e-3)
    assert max(falling) == falling[0] == pytest.approx(1.0, abs=5e-3)


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"budgets": (100,)}, "raise it"),
        ({"budgets": (2560, 2560)}, "equal"),
        ({"batch_tokens": 100}, "multiple"),
        ({"context": 128}, "max_position"),
        ({"lesson_share": 1.2}, "between"),
        ({"lesson_share": (0.2, -0.1)}, "between"),
        ({"lesson_share": (0.2, 0.1), "schedule": "cosine"}, "give cosine one"),
        ({"schedule": "cosine", "warmup_tokens": 2560}, "less than every budget"),
        ({"final_lr_share": 0.1}, "leave it out"),
        ({"micro_batch_tokens": 96}, "divide batch_tokens"),
        ({"micro_batch_tokens": 16}, "multiple of context"),
        ({"schedule": "step"}, "'wsd', 'cosine', 'linear' or 'constant'"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_what_to_change(changes, remedy):
    with pytest.raises(ValidationError, match=remedy):
        config(**changes)
