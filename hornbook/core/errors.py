"""The one exception that users see: what went wrong, and what to do about it."""


class HornbookError(Exception):
    """A problem the user can solve. The command line prints both parts on one line and exits with status 2."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem} {remedy}".strip())

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.problem, self.remedy)  # survives the way back from a worker process
