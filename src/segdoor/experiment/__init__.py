"""6. One run: poison, train, examine and record."""
