"""Prints the catalogue: `python -m infosec.events > docs/events.md`."""

from __future__ import annotations

import sys

from infosec.events.catalogue import CATALOGUE
from infosec.events.document import page
from infosec.events.facts import FACTS

if __name__ == "__main__":
    sys.stdout.buffer.write(page(CATALOGUE, FACTS).encode())
