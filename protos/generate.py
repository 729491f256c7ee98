"""Generates infosec/api from protos/: the same bytes on every machine. Run by `make protos`."""

from __future__ import annotations

import importlib.resources
import shutil
import sys
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
OUT = ROOT.parent


def main() -> int:
    """Replace infosec/api by what the contract says now."""
    sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.proto"))
    shutil.rmtree(OUT / "infosec" / "api", ignore_errors=True)
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    plugins = Path(sys.executable).parent
    status = protoc.main(
        [
            "protoc",
            f"-I{ROOT}",
            f"-I{well_known}",
            f"--python_out={OUT}",
            f"--grpc_python_out={OUT}",
            f"--plugin=protoc-gen-mypy={plugins / 'protoc-gen-mypy'}",
            f"--mypy_out={OUT}",
            *sources,
        ]
    )
    if status:
        return int(status)
    for folder in {OUT / "infosec" / "api", *(p.parent for p in (OUT / "infosec" / "api").rglob("*_pb2.py"))}:
        for package in (folder, *folder.relative_to(OUT / "infosec" / "api").parents):
            where = package if package.is_absolute() else OUT / "infosec" / "api" / package
            (where / "__init__.py").write_text('"""Generated from protos/ by `make protos`."""\n')
    for stub in (OUT / "infosec" / "api").rglob("*_pb2_grpc.py"):
        if "Stub" not in stub.read_text():
            stub.unlink()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
