"""A campaign held, resumed, cancelled, reordered, and kept within its budget."""
