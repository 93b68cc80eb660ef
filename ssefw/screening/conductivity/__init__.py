"""The number itself: log10 of the conductivity with an interval, learned from values and bounds."""
