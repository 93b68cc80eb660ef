"""Figures and pages of what was computed."""
