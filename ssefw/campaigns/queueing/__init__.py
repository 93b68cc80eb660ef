"""A campaign on a cluster: its site, the queue that is fed, nodes without a database."""
