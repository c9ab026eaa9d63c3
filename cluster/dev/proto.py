"""``make proto``: Python code and its types from ``proto/**/*.proto``.

The generated files are committed, so that running and installing need no compiler; a test keeps them equal to their
sources. ``proto/`` is a source root and no package: ``ray[serve]`` brings a package of that name.
"""

import subprocess
import sys
import sysconfig
from os import environ
from pathlib import Path

PROTO_ROOT = Path(__file__).parents[2] / "proto"
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")
PROTOC_TIMEOUT_S = 120


def generate(into: Path) -> None:
    """Writes the code of every source below ``into``; ``CalledProcessError`` when a source does not compile."""
    sources = sorted(str(path.relative_to(PROTO_ROOT)) for path in PROTO_ROOT.rglob("*.proto"))
    outputs = [f"--{kind}_out={into}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    plugins = {**environ, "PATH": f"{sysconfig.get_path('scripts')}:{environ.get('PATH', '')}"}
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(PROTO_ROOT), *outputs, *sources]
    subprocess.run(command, env=plugins, check=True, capture_output=True, timeout=PROTOC_TIMEOUT_S)


def generated_files(root: Path) -> dict[str, str]:
    """The text of every generated file below ``root``, by its path there."""
    found = (path for pattern in GENERATED for path in root.rglob(pattern))
    return {str(path.relative_to(root)): path.read_text() for path in sorted(found)}


def main() -> None:
    """Replaces what is generated in ``proto/``, also what a removed source left behind."""
    for name in generated_files(PROTO_ROOT):
        (PROTO_ROOT / name).unlink()
    generate(PROTO_ROOT)


if __name__ == "__main__":
    main()
