"""The scripts that put sets of certificates in place, run by a real shell and cut off at each of their commands."""

import shutil
import subprocess
from pathlib import Path

import pytest

from infrastructure.services.onboarding.certificates import FORGET, PUT_BACK, SWAP, one_line


def execute(script: str, *folders: Path) -> None:
    subprocess.run(["sh", "-c", one_line(script), "sh", *map(str, folders)], check=True)


def cut_off(script: str, after: int, *folders: Path) -> None:
    """Run the script as if the node had lost its power after so many changes of the file system."""
    limit = f"n=0; limit={after}; spend() {{ n=$((n + 1)); [ $n -le $limit ] || exit 9; }}; "
    limit += 'mv() { spend; command mv "$@"; }; rm() { spend; command rm "$@"; }; '
    subprocess.run(["sh", "-c", limit + one_line(script), "sh", *map(str, folders)], check=False)


def make(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "key").write_text(text)
    (folder / "certificate").write_text(text)


def text(folder: Path) -> str:
    key, certificate = (folder / "key").read_text(), (folder / "certificate").read_text()
    assert key == certificate, "a key with the wrong certificate"
    return key


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders with an old set, a new one beside each; one has a blank in its name."""
    made = (tmp_path / "libvirt", tmp_path / "with blank")
    for folder in made:
        make(folder, "old")
        make(Path(f"{folder}.new"), "new")
    return made


def test_the_new_sets_are_in_place_and_the_old_ones_are_kept(folders: tuple[Path, Path]) -> None:
    execute(SWAP, *folders)
    for folder in folders:
        assert (text(folder), text(Path(f"{folder}.old"))) == ("new", "old")
        assert not Path(f"{folder}.new").exists()


def test_the_first_sets_of_a_node_have_none_to_keep(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder)
    execute(SWAP, *folders)
    assert [text(folder) for folder in folders] == ["new", "new"]
    assert not Path(f"{folders[0]}.old").exists()


@pytest.mark.parametrize("after", range(5))
def test_a_swap_that_was_cut_off_is_finished_by_the_next(after: int, folders: tuple[Path, Path]) -> None:
    cut_off(SWAP, after, *folders)
    execute(SWAP, *folders)
    for folder in folders:
        assert (text(folder), text(Path(f"{folder}.old"))) == ("new", "old")


@pytest.mark.parametrize("swapped", range(5))
@pytest.mark.parametrize("after", range(7))
def test_the_old_sets_come_back_whatever_was_cut_off(swapped: int, after: int, folders: tuple[Path, Path]) -> None:
    cut_off(SWAP, swapped, *folders)
    cut_off(PUT_BACK, after, *folders)
    execute(PUT_BACK, *folders)
    for folder in folders:
        assert text(folder) == "old"
        assert not Path(f"{folder}.old").exists()


@pytest.mark.parametrize("after", range(7))
def test_a_set_that_is_half_forgotten_is_never_put_back(after: int, folders: tuple[Path, Path]) -> None:
    execute(SWAP, *folders)
    cut_off(FORGET, after, *folders)
    execute(PUT_BACK, *folders)
    for folder in folders:
        assert text(folder) in ("old", "new")
    execute(FORGET, *folders)
    for folder in folders:
        for suffix in (".old", ".new", ".gone"):
            assert not Path(f"{folder}{suffix}").exists()
