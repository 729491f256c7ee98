"""`python -m services.witnessd --config FILE`: a witness of audit logs, as `infosec witness run`."""

from __future__ import annotations

import sys

from infosec.cli.app import main

if __name__ == "__main__":
    sys.argv[1:] = ["witness", "run", *sys.argv[1:]]
    main()
