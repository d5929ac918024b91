"""1. The street: honest data."""
