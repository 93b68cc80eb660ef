"""What jobs have computed, as typed records that can be asked for."""
