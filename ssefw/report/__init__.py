"""Figures and pages of what was computed."""

from ssefw.report.page import write_report

__all__ = ["write_report"]
