"""A store in a folder, without a server: collections of documents in one SQLite file."""
