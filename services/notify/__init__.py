"""SMS to phones: sealed messages are taken, delivered through a gateway, and forgotten."""
