"""Fixtures that are named by what they are."""
