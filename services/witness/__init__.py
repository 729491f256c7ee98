"""A small witness that a region can run by itself: it cosigns a log that only grows, and refuses one that forks."""
