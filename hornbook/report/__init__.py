"""What a run did and found: a page, a table of numbers, the state of its steps, the life of a document."""
