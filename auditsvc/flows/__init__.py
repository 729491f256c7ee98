"""Use cases of auditsvc: rules and storage put together."""
