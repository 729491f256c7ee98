"""Spot checks (CI-6) and what a review needs of an entry: pure, shared by the audit service and by whoever draws again.

seen      what a reviewer needs of one entry
sampling  weeks, shares, seeds and draws
offline   the same draw from an export, without our server

Rules and files alone: no gRPC, no database, no clock.
"""
