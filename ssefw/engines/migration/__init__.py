"""From the hops of an ion to bands and barriers, with any engine."""

from ssefw.engines.migration.barriers import MigrationSettings, hop_barrier, hop_barriers

__all__ = ["MigrationSettings", "hop_barrier", "hop_barriers"]

# Stored records, and what is hashed of them, name this path.
MigrationSettings.__module__ = __name__
