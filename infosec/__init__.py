"""Security and access control for a telecom carrier's stores: what all parts share. Imports none of the services."""
