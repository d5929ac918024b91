"""8. The telling: records as text."""
