"""The serving side of the wire. Needs the extra `server`; nothing under infosec.client may import it."""
