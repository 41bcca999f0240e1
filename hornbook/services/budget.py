"""What the answers cost so far, what all of them will, and when to stop."""

from hornbook.services.chat import Usage
from hornbook.services.llm_config import BudgetConfig, PriceConfig


class Budget:
    """A count of requests, tokens and money with limits.

    An answer from the cache counts with what it cost when it was paid: a run that was killed and goes on spends what
    it would have spent in one go. `reserve` is asked before a request is sent and supposes that those under way cost
    what the others did on average, so that a limit is passed by less than the requests in flight.
    """

    def __init__(self, limits: BudgetConfig, prices: PriceConfig) -> None:
        self.requests = 0
        self.usage = Usage()
        self.paid_requests = 0  # of these, in this run
        self.paid_usage = Usage()
        self._limits, self._prices = limits, prices
        self._in_flight = 0

    def reserve(self) -> bool:
        """Whether one more request may be sent; if so, `spend` or `unreserve` must follow."""
        ahead = self._in_flight + 1
        limits, per_request = self._limits, ahead / max(self.requests, 1)
        enough = (
            (limits.requests is not None and self.requests + ahead > limits.requests)
            or (limits.tokens is not None and _over(self.tokens, per_request, limits.tokens))
            or (limits.money is not None and _over(self.money, per_request, limits.money))
        )
        self._in_flight += not enough
        return not enough

    def unreserve(self) -> None:
        """The request was not taken, and costs nothing."""
        self._in_flight -= 1

    def spend(self, usage: Usage) -> None:
        """A reserved request was answered, or may have been (then with an estimate): hosts charge for both."""
        self._in_flight -= 1
        self.paid_requests += 1
        self.paid_usage += usage
        self.recall(usage)

    def recall(self, usage: Usage) -> None:
        """An answer came from the cache."""
        self.requests += 1
        self.usage += usage

    @property
    def tokens(self) -> int:
        """Tokens read and written for all answers so far."""
        return self.usage.prompt + self.usage.completion

    @property
    def money(self) -> float:
        """What all answers so far cost, whenever they were paid."""
        return self._cost(self.usage)

    @property
    def paid_money(self) -> float:
        """What this run has paid."""
        return self._cost(self.paid_usage)

    def line(self, done: int, total: int) -> str:
        """One line for the progress display: tokens and money so far and, when all is done, by the mean so far."""
        scale = total / done if done else 0.0
        tokens = f"{self.tokens:,} of about {self.tokens * scale:,.0f} tokens"
        if not (self._prices.prompt or self._prices.completion):
            return tokens
        return f"{tokens}, {self.money:,.2f} of about {self.money * scale:,.2f}, {self.paid_money:,.2f} in this run"

    def _cost(self, usage: Usage) -> float:
        return (usage.prompt * self._prices.prompt + usage.completion * self._prices.completion) / 1e6


def _over(spent: float, per_request: float, limit: float) -> bool:
    return spent >= limit or spent * (1 + per_request) > limit
