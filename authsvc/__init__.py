"""Login, staff IDs, requests and the check: who a person is, and what they may do."""
