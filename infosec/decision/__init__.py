"""The decision core: may this person do this, here, to this customer? Pure rules over immutable tables.

Knows no clock, socket, storage or wire. `decide.decide` is the one question.
"""
