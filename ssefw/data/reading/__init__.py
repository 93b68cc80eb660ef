"""Crystals and records out of files that others wrote, checked before they are believed."""
