"""Screens that order a pool: features, systems, filters, honest evaluation."""
