"""A second paper, as small as one can be, in a folder of its own."""
