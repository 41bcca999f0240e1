"""The verdict: how many tokens of the reference data one token of each arm is worth, and how many parameters."""
