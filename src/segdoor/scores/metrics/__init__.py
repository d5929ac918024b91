"""From what a test left to a figure: one metric a file, each with its functional core apart."""
