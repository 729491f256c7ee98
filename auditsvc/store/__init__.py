"""SQL of auditsvc, a file for each noun."""
