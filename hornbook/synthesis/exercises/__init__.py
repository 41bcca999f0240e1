"""A grammar of beginner exercises: tasks, the words they are put in, and solutions that are run when written."""
