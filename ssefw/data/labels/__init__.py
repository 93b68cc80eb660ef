"""Known conductivities: where they come from, how they are read, what they are worth together."""
