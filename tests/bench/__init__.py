"""Measurements against peers and limits taken in the same run (`make bench`); nothing here is asserted in a test."""
