"""Contracts that every station of the pipeline keeps: documents, steps, the engine, progress, errors."""
