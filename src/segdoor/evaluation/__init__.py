"""4. The examiner: a model over scenes gives tables; it knows nothing of triggers."""
