"""Proofs about an append-only log, made and checked by the same rules: by the audit service, and offline by anybody.

merkle         hashes of leaves and nodes, node coordinates (RFC 6962, 2.1)
ranges         compact ranges: the O(log n) state that a tree grows from
proofs         inclusion and consistency proofs, made from stored nodes and verified (RFC 9162, 2.1.3 and 2.1.4)
range_proofs   a whole stretch of entries proved complete, verified as a stream
notes          signed notes and verifier keys (C2SP signed-note)
checkpoints    a tree's origin, size and root in a signed note (C2SP tlog-checkpoint)
cosignatures   what a witness adds to a checkpoint, and how many witnesses did (C2SP tlog-cosignature, v1)
witness        when a witness cosigns, and why it refuses (C2SP tlog-witness)
spelling       base64 and decimals with one spelling
errors         why something is not proved

Verification raises NotVerified; it never answers false. No clock, socket, SQL or protobuf here.
"""
