"""Outcomes become labels, labels a model, the model the order of what is left."""
