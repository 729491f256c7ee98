"""`python -m services.authd [--config FILE]`: login, requests, administration, and notify beside them; no check."""

from __future__ import annotations

from services.checking import Part
from services.process import main

if __name__ == "__main__":
    main(Part.CORE)
