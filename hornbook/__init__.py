"""Hornbook: textbook-quality data, small language models trained on it, and the proof that it was worth it."""

__version__ = "0.1.0"
