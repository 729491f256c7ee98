"""Generates infosec/api from protos/: the same bytes on every machine. Run by `make protos`; a test gives another folder."""

from __future__ import annotations

import importlib.resources
import shutil
import sys
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent


def main(out: Path = ROOT.parent) -> int:
    """Replace infosec/api in `out` by what the contract says now."""
    api = out / "infosec" / "api"
    shutil.rmtree(api, ignore_errors=True)
    sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.proto"))
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    status = protoc.main(
        [
            "protoc",
            f"-I{ROOT}",
            f"-I{well_known}",
            f"--python_out={out}",
            f"--grpc_python_out={out}",
            f"--plugin=protoc-gen-mypy={Path(sys.executable).parent / 'protoc-gen-mypy'}",
            f"--mypy_out={out}",
            *sources,
        ]
    )
    if status:
        return int(status)
    for folder in {api, *(above for stub in api.rglob("*_pb2.py") for above in stub.relative_to(out).parents)}:
        if (package := out / folder).is_relative_to(api):
            (package / "__init__.py").write_text('"""Generated from protos/ by `make protos`."""\n')
    for stub in api.rglob("*_pb2_grpc.py"):
        if "Stub" not in stub.read_text():
            stub.unlink()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*(Path(argument) for argument in sys.argv[1:])))
