"""Wire adapters, one file per RPC service: proto messages in, flows called, proto messages out."""
