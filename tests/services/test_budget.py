"""The budget counts in three units and foresees the end."""

import pytest

from hornbook.services.budget import Budget
from hornbook.services.chat import Usage
from hornbook.services.llm_config import BudgetConfig, PriceConfig

PRICES = PriceConfig(prompt=2.0, completion=10.0)


def spend(budget: Budget, most: int, usage: Usage, at_once: int = 1) -> int:
    """Requests that the budget let through, `at_once` in flight."""
    sent = 0
    while sent < most:
        allowed = sum(budget.reserve() for _ in range(at_once))
        for _ in range(allowed):
            budget.spend(usage)
        sent += allowed
        if allowed < at_once:
            break
    return sent


@pytest.mark.parametrize(
    ("limits", "most"),
    [({"requests": 25}, 25), ({"tokens": 25_000}, 25), ({"money": 0.05}, 25), ({"requests": 30, "tokens": 25_000}, 25)],
)
@pytest.mark.parametrize("at_once", [1, 8])
def test_it_stops_where_the_limit_is(limits: dict[str, int], most: int, at_once: int) -> None:
    budget = Budget(BudgetConfig(**limits), PRICES)
    sent = spend(budget, 100, Usage(1000, 0), at_once)
    assert most - 1 <= sent <= most + (at_once - 1)
    assert spend(budget, 100, Usage(1000, 0)) <= 1


def test_without_a_limit_it_never_stops() -> None:
    assert spend(Budget(BudgetConfig(), PRICES), 1000, Usage(10**6, 10**6)) == 1000


def test_it_tells_what_is_spent_and_what_will_be() -> None:
    budget = Budget(BudgetConfig(), PRICES)
    budget.recall(Usage(400_000, 100_000))
    assert budget.reserve()
    budget.spend(Usage(600_000, 0))
    assert (budget.requests, budget.paid_requests, budget.tokens) == (2, 1, 1_100_000)
    assert (budget.money, budget.paid_money) == (pytest.approx(3.0), pytest.approx(1.2))
    assert budget.line(2, 20) == "1,100,000 of about 11,000,000 tokens, 3.00 of about 30.00, 1.20 in this run"
    assert "tokens" in Budget(BudgetConfig(), PRICES).line(0, 20)


def test_a_refused_request_costs_nothing() -> None:
    budget = Budget(BudgetConfig(requests=1), PRICES)
    for _ in range(5):
        assert budget.reserve() and not budget.reserve()
        budget.unreserve()
    assert budget.requests == 0
