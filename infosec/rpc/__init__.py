"""What both sides of the wire need: the error table, limits, deadlines, credentials."""
