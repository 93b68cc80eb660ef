"""neb.x: a band run to its end, what it leaves behind, and the record of it."""
