"""All writers by name."""

from hornbook.synthesis.writers.exercise import EXERCISE
from hornbook.synthesis.writers.instruction import INSTRUCTION
from hornbook.synthesis.writers.lessons import LESSONS
from hornbook.synthesis.writers.questions import QUESTIONS
from hornbook.synthesis.writers.reasoning import REASONING
from hornbook.synthesis.writing import Writer

WRITERS: dict[str, Writer] = {writer.name: writer for writer in (*LESSONS, EXERCISE, REASONING, QUESTIONS, INSTRUCTION)}
