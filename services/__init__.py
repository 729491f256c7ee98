"""The smaller services, and every process entry point: here the parts are wired together."""
