"""Training: one readable loop from token stores to finished models, exact on resume."""
