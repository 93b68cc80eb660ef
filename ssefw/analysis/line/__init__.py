"""The Arrhenius line: its fit to values and bounds, what bends it, what is known beforehand."""
