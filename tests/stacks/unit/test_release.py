import hashlib
import io
import os
import tarfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_platform.refusals import ReleaseIncomplete
from openclaw_platform.release import Member, build_release
from openclaw_platform.release_files import KEPT_ARCHIVES, keep_archive, release_members

CONTENTS = st.dictionaries(st.text("abc/é-", min_size=1).filter(lambda path: path.strip("/") == path), st.binary())


@settings(max_examples=50, deadline=None)
@given(CONTENTS, st.randoms())
def test_members_survive_in_any_order_under_one_sum(contents: dict[str, bytes], shuffler: Random) -> None:
    members = [Member(path, content) for path, content in contents.items()]
    shuffled = list(members)
    shuffler.shuffle(shuffled)

    release = build_release(members)

    assert build_release(shuffled) == release
    with tarfile.open(fileobj=io.BytesIO(release.archive), mode="r:") as archive:
        unpacked = {entry.name: archive.extractfile(entry) for entry in archive.getmembers()}
        assert {path: stream.read() for path, stream in unpacked.items() if stream} == contents


def test_a_large_member_unpacks() -> None:
    content = os.urandom(1_000_000)

    release = build_release([Member("wheel", content)])

    with tarfile.open(fileobj=io.BytesIO(release.archive), mode="r:") as archive:
        stream = archive.extractfile("wheel")
        assert stream is not None
        assert stream.read() == content


def test_the_key_names_the_sum_of_the_archive() -> None:
    release = build_release([Member("install.sh", b"true\n", executable=True)])

    assert release.sha256 == hashlib.sha256(release.archive).hexdigest()
    assert release.key == f"releases/{release.sha256}/openclaw-release.tar"


def test_the_archive_is_the_same_on_every_machine() -> None:
    release = build_release([Member("install.sh", b"true\n", executable=True), Member("units/a.service", b"[Unit]\n")])

    assert release.sha256 == "0044123e8903d85b15fcd71e3c54970990a92e83a13116760c2a71a495997449"


def test_two_members_of_one_path_are_refused() -> None:
    with pytest.raises(ValueError, match=r"hold install\.sh twice"):
        build_release([Member("install.sh", b"a"), Member("install.sh", b"b")])


def test_times_and_modes_of_the_checkout_do_not_change_the_sum(tmp_path: Path) -> None:
    repository, wheel = _repository(tmp_path)
    before = build_release(release_members(repository, [wheel]))

    for path in repository.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (1, 1))

    assert build_release(release_members(repository, [wheel])) == before


@pytest.mark.parametrize(
    "changed",
    ["cloud_init/install.sh", "scripts/openclaw_agent/snapshot/manifest.py", "scripts/openclaw-s3-backup.py", "a.whl"],
)
def test_a_changed_file_changes_the_sum(tmp_path: Path, changed: str) -> None:
    repository, wheel = _repository(tmp_path)
    before = build_release(release_members(repository, [wheel]))

    (repository / changed).write_text("something else\n")

    assert build_release(release_members(repository, [wheel])).sha256 != before.sha256


def test_the_release_holds_what_the_contract_says_and_nothing_else(tmp_path: Path) -> None:
    repository, wheel = _repository(tmp_path)

    members = {member.path: member.executable for member in release_members(repository, [wheel])}

    assert members == {
        "install.sh": True,
        "units/openclaw.service": False,
        "agent/openclaw_agent/snapshot/manifest.py": False,
        "agent/bin/openclaw-s3-backup.py": True,
        "wheels/a.whl": False,
    }


@pytest.mark.parametrize("lost", ["cloud_init/install.sh", "scripts/openclaw_agent/snapshot/manifest.py"])
def test_a_release_without_one_of_its_parts_is_refused(tmp_path: Path, lost: str) -> None:
    repository, wheel = _repository(tmp_path)
    (repository / lost).unlink()
    (repository / "cloud_init/units/openclaw.service").unlink()

    with pytest.raises(ReleaseIncomplete, match="there are none"):
        list(release_members(repository, [wheel]))


def test_the_archive_is_kept_for_the_upload_and_mended_when_cut_short(tmp_path: Path) -> None:
    release = build_release([Member("install.sh", b"true\n")])
    path = keep_archive(release, tmp_path)
    path.write_bytes(release.archive[:10])

    assert keep_archive(release, tmp_path) == path
    assert path.read_bytes() == release.archive
    assert path == tmp_path / ".cache" / release.key


def test_only_the_newest_archives_are_kept(tmp_path: Path) -> None:
    paths = []
    for number in range(KEPT_ARCHIVES + 1):
        paths.append(keep_archive(build_release([Member("install.sh", bytes([number]))]), tmp_path))
        os.utime(paths[-1].parent, (number, number))

    assert [path.exists() for path in paths] == [False, *[True] * KEPT_ARCHIVES]


def _repository(folder: Path) -> tuple[Path, Path]:
    files = {
        "cloud_init/install.sh": "true\n",
        "cloud_init/user-data.yaml.tmpl": "#cloud-config\n",
        "cloud_init/units/openclaw.service": "[Unit]\n",
        "cloud_init/.swp": "",
        "cloud_init/__pycache__/x.pyc": "",
        "scripts/openclaw_agent/snapshot/manifest.py": "",
        "scripts/openclaw_agent/__pycache__/manifest.pyc": "",
        "scripts/openclaw-s3-backup.py": "",
        "scripts/ec2-spot-prices.py": "",
        "a.whl": "wheel",
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder, folder / "a.whl"
