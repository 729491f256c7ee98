"""The wire of auditsvc: protobuf to values and back, a class for each RPC service."""
