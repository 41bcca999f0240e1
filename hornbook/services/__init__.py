"""The world outside our process: other programs that Hornbook talks to."""
