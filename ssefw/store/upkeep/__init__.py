"""Keeping a store: check and repair, backups, copies, archives, removal."""
