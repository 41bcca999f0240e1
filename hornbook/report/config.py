"""What the recipe says about the report."""

from pydantic import Field

from hornbook.core.config import Config


class ReportConfig(Config):
    """Title and length of the page."""

    title: str = ""  # empty: the name of the run's folder
    sets: tuple[str, ...] = ("humaneval", "functions", "held_out")  # that get a plot; the tables show all
    passages: int = Field(default=3, ge=1, le=20)  # shown of the highest, middle and lowest scores
    leaks: int = Field(default=12, ge=0, le=200)  # shown of the leaks found
