"""1. The street: clean data."""
