"""The committed code of ``proto/`` is what its sources say."""

from pathlib import Path

from cluster.dev.proto import PROTO_ROOT, generate, generated_files


def test_generated_code_equals_its_proto_files(tmp_path: Path) -> None:
    """`make proto` was run and its result committed."""
    generate(tmp_path)

    assert generated_files(PROTO_ROOT) == generated_files(tmp_path)
