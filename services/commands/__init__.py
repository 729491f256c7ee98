"""Server-side commands, one file each; each has `register(app)`."""
