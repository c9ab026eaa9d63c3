"""The committed code of ``proto/`` is what its sources say."""

import tomllib
from pathlib import Path

from cluster.dev.proto import PROTO_ROOT, generate, generated_files


def test_generated_code_equals_its_proto_files(tmp_path: Path) -> None:
    """`make proto` was run and its result committed."""
    generate(tmp_path)

    assert generated_files(PROTO_ROOT) == generated_files(tmp_path)


def test_what_is_generated_is_installed_too() -> None:
    """A folder of proto/ that setuptools does not know is found from the checkout alone."""
    known = tomllib.loads((PROTO_ROOT.parent / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"][
        "include"
    ]
    assert {
        f"{folder.name}*" for folder in PROTO_ROOT.iterdir() if folder.is_dir() and folder.name != "__pycache__"
    } <= set(known)
