"""Filters: which training scenes are suspicious, before anybody trains on them."""
