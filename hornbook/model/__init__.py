"""The decoder: one transformer in plain torch, its file formats, and generation."""
