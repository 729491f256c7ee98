"""The audit events of the whole suite: what is recorded, with which facts, for how long. Pure; knows no storage or wire.

`types` is the closed list, `event` the value, `catalogue` the table and its check.
"""
