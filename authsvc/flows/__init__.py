"""Use cases: each orchestrates rules, storage and messages for one purpose, with the clock and randomness given."""
