"""Papers: what each reports, and how its studies become runs."""
