"""Which TF-MoDISco is installed: modisco-lite, whole, or the commands that mend it."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from genolift.errors import InputError
from genolift.motifs.modisco import check_installation

MODULES = {"__init__.py": "__version__ = '3.0.0'\n", "core.py": "tracks = 3\n"}
OLDER = {"__init__.py": "__version__ = '2.5.2'\n", "core.py": "tracks = 2\n"}


def install(folder: Path, name: str, version: str, modules: dict[str, str]) -> Path:
    """Install made-up modules as ``modiscolite`` the way pip does, over what is there."""
    package = folder / "modiscolite"
    package.mkdir(parents=True, exist_ok=True)
    record = []
    for module, text in modules.items():
        (package / module).write_text(text)
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        record.append(f"modiscolite/{module},sha256={digest},{len(text)}")
    told = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (told / "RECORD").write_text("\n".join([*record, f"{told.name}/METADATA,,", f"{told.name}/RECORD,,"]))
    return folder


def refusal(*folders: Path) -> str:
    with pytest.raises(InputError) as caught:
        check_installation([str(folder) for folder in folders])
    return str(caught.value)


def test_modisco_lite_alone_is_accepted(tmp_path: Path) -> None:
    check_installation([str(install(tmp_path, "modisco-lite", "3.0.0", MODULES))])


def test_both_packages_are_accepted_if_all_files_are_modisco_lites(tmp_path: Path) -> None:
    install(tmp_path, "modisco", "2.5.2", OLDER)
    install(tmp_path, "modisco-lite", "3.0.0", MODULES)
    check_installation([str(tmp_path)])


def test_files_that_another_package_has_overwritten_are_named_with_the_remedy(tmp_path: Path) -> None:
    install(tmp_path, "modisco-lite", "3.0.0", MODULES)
    install(tmp_path, "modisco", "2.5.2", OLDER)
    assert refusal(tmp_path) == (
        "modiscolite: 2 of its files are not those of modisco-lite 3.0.0, since modisco 2.5.2 has the same "
        "import name; run: pip uninstall -y modisco modisco-lite; pip install 'modisco-lite>=3'"
    )


@pytest.mark.parametrize(
    ("name", "version", "there"),
    [
        ("modisco", "2.5.2", "modisco 2.5.2"),
        ("modisco-lite", "2.2.1", "modisco-lite 2.2.1"),
        ("faster-modisco-lite", "3.0.0", "faster-modisco-lite 3.0.0"),
    ],
)
def test_another_package_instead_is_named(tmp_path: Path, name: str, version: str, there: str) -> None:
    said = refusal(install(tmp_path, name, version, OLDER))
    assert f"TF-MoDISco is not modisco-lite 3 or later: {there} is installed; run: pip uninstall -y" in said


def test_no_package_at_all_is_said(tmp_path: Path) -> None:
    assert "nothing is installed; run: pip uninstall -y modisco-lite; pip install" in refusal(tmp_path)


def test_what_is_left_when_the_other_package_is_uninstalled_is_refused(tmp_path: Path) -> None:
    install(tmp_path, "modisco-lite", "3.0.0", MODULES)
    (tmp_path / "modiscolite" / "core.py").unlink()
    assert "1 of its files are not those of modisco-lite 3.0.0; run: pip uninstall -y" in refusal(tmp_path)


def test_another_folder_that_python_would_import_first_is_refused(tmp_path: Path) -> None:
    first = install(tmp_path / "first", "modisco", "2.5.2", OLDER)
    second = install(tmp_path / "second", "modisco-lite", "3.0.0", MODULES)
    assert "2 of its files are not those of modisco-lite 3.0.0" in refusal(first, second)
    check_installation([str(second), str(first)])


@pytest.mark.parametrize("command", ["check", "motifs"])
def test_the_command_ends_before_it_computes_anything(tmp_path: Path, command: str) -> None:
    """The packages are looked for on Python's own path, to which a made-up installation is prepended."""
    mixed = install(tmp_path / "mixed", "modisco-lite", "3.0.0", MODULES)
    install(mixed, "modisco", "2.5.2", OLDER)
    needed = {
        "check": ["--fasta", "none.fa", "--model", "none.pt", "--out", "out/check.json"],
        "motifs": ["--contributions", "none.h5", "--sequences", "none.tsv", "--out", "out"],
    }
    paths = [str(mixed), *sys.path]
    code = f"import sys; sys.path[:] = {paths!r}; from genolift.cli.main import main; main()"
    words = [sys.executable, "-c", code, command, *needed[command]]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip().count("\n") == 0
    assert "2 of its files are not those of modisco-lite 3.0.0, since modisco 2.5.2" in done.stderr
    assert not (tmp_path / "out").exists()
