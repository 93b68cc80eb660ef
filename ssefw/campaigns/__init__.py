"""Campaigns: from a file to jobs on the launch pad, and the workers that run them."""
