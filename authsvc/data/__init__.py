"""Word lists shipped with the password rules (ID-3)."""
