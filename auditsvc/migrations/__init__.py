"""Numbered SQL files of the schema `audit`."""
