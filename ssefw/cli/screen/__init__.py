"""``ssefw screen``: its commands, one module each."""
