"""Synthesis: writers of lessons and exercises, whose answers are checked by running them."""
