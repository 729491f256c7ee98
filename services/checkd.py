"""`python -m services.checkd [--config FILE]`: the check alone; as many of these as the load takes."""

from __future__ import annotations

from services.checking import Part
from services.process import main

if __name__ == "__main__":
    main(Part.CHECK)
