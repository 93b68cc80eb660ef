"""Jobs put on the launch pad and taken off it: workers, and what becomes of dead ones."""
