"""The commands of the site: its files, its settings, the schema of campaign files."""
