"""Demo data for a loopback installation, and a day in the stores played through the real API. Production imports neither."""
