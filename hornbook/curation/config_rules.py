"""Thresholds of the rules. Shares are between 0 and 1; visible characters are all but white space."""

from pydantic import Field

from hornbook.core.config import Config


class FileRulesConfig(Config):
    """Rules for whole files; all but the first are for code only."""

    enabled: bool = True  # false: every file stays
    min_visible_chars: int = Field(default=30, ge=0)
    generated_marker_within: int = Field(default=1500, ge=0)  # bytes from the start; 0 switches the rule off
    max_long_line_share: float = Field(default=0.5, ge=0, le=1)  # of the text, in lines longer than ...
    long_line_bytes: int = Field(default=300, gt=0)
    max_data_line_share: float = Field(default=0.8, ge=0, le=1)  # of the text, in lines of literals
    max_digit_share: float = Field(default=0.3, ge=0, le=1)  # of the visible characters
    min_letter_share: float = Field(default=0.4, ge=0, le=1)  # of the visible characters
    max_foreign_letter_share: float = Field(default=0.2, ge=0, le=1)  # of the visible characters
    max_repeated_line_share: float = Field(default=0.6, ge=0, le=1)  # of the text, in lines seen before


class PassageRulesConfig(Config):
    """Rules for passages; those marked "code" do not look at prose and lessons."""

    enabled: bool = True  # false: every passage of a file that stays does
    min_visible_chars: int = Field(default=60, ge=0)
    min_letter_share: float = Field(default=0.45, ge=0, le=1)  # of the visible characters
    max_digit_share: float = Field(default=0.25, ge=0, le=1)  # of the visible characters, code
    max_foreign_letter_share: float = Field(default=0.2, ge=0, le=1)  # of the visible characters, code
    max_repeated_line_share: float = Field(default=0.5, ge=0, le=1)  # of the text, in lines seen before
    max_line_bytes: int = Field(default=400, gt=0)  # code
    max_data_line_share: float = Field(default=0.6, ge=0, le=1)  # of the text, in lines of literals, code
    max_import_share: float = Field(default=0.7, ge=0, le=1)  # of the text, in imports and lists of names, code
    max_licence_comment_share: float = Field(default=0.7, ge=0, le=1)  # of the text, where a licence is quoted, code
    min_prompts_of_examples: int = Field(default=3, ge=1)  # passages with so many `>>>` may be digits and marks
