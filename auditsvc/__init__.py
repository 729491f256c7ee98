"""The audit service: an append-only, Merkle-proved, signed record; and who may read it, erase from it, keep it."""
