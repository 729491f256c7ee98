"""`python -m services.suite [--config FILE]`: everything in one process."""

from __future__ import annotations

from services.process import main

if __name__ == "__main__":
    main()
