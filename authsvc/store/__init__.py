"""The SQL of authsvc, one file per noun. Rows in, values out; no rule is decided here."""
