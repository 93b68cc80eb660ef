"""How well a screen predicts labels it has not seen, measured beside what chance would give."""
