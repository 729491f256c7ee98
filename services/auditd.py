"""`python -m services.auditd [--config FILE]`: the audit logs alone; the other parts need them, so it starts first."""

from __future__ import annotations

from services.checking import Part
from services.process import main

if __name__ == "__main__":
    main(Part.AUDIT)
