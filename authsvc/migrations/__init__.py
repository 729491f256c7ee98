"""The auth schema, as numbered SQL files."""
