"""What an auditor holds in their hands: export files, and their verification without server, database or configuration.

faults        what is wrong with an export, and at which entry
cells         the readable columns of an entry
parts         an export as it arrives: logs, rows, gaps
part_file     what has arrived so far, in a file that survives a broken connection and kill -9
receiving     the order in which parts may arrive, and where to go on
blocks        the tree of an exported range, in blocks of 256 entries that can be named when one is wrong
manifest      what was exported, from where, under which checkpoint, and what that proves
proof_file    the hashes that stand for entries which did not match
found         a row as it was read from a file, held against its entry
line_shapes   JSONL lines recognised at once, for speed
jsonl, csv_file, xlsx, parquet, ocsf   the forms of a file, each with its writer and its reader
formats       their table
rendering     from parts to a file with its manifest
keys          the keys that an auditor trusts
witnessing    checkpoints, cosignatures, and the export that came before
holes         indexes that have not come where they belong
tracking      the rows of one log in their order, and what is wrong where
verifying     the whole of it

Files and rules alone: no gRPC, no socket, no database.
"""
