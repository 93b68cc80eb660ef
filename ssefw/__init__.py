"""High-throughput search for solid-state lithium electrolytes."""
