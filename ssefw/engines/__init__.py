"""How a calculation runs: one module for each code or potential."""
