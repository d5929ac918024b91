"""Tables and the arithmetic on them."""
