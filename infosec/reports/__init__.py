"""Ready reports for compliance: from entries and lists to a table with a title and notes, and to files that people open.

report     what a report is
words      what codes are called
record     an entry as the builders read it
locks, access, exceptions, listed   the builders: pure, plain values in, a report out
html, xlsx   the renderers

A report is for reading. Evidence is an export, which proves itself; reports name the entries to look for there.
"""
