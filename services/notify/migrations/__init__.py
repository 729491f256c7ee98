"""Numbered SQL of the schema notify."""
