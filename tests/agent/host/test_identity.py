from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.machine.imds import ImdsServer, listen_on_loopback
from lab.machine.imds_answers import InstanceIdentity
from openclaw_agent.agent_dir.records import BootRecord, Records
from openclaw_agent.errors import AgentError, UsageError
from openclaw_agent.host import identity
from openclaw_agent.host.identity import UNKNOWN_BOOT, boot_id, instance_id
from openclaw_agent.host.metadata import InstanceMetadata, MetadataUnavailable
from openclaw_agent.lease.record import Lease
from openclaw_agent.settings import Settings

EC2_ID = "i-0123456789abcdef0"


@pytest.fixture
def imds(monkeypatch: pytest.MonkeyPatch) -> Iterator[ImdsServer]:
    known = InstanceIdentity(EC2_ID, "t4g.small", "us-east-1", "us-east-1a", "10.0.0.4", "role")
    with ImdsServer(known, listen_on_loopback()) as server:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.endpoint_url)
        yield server


@pytest.fixture(autouse=True)
def without_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENCLAW_INSTANCE_ID", raising=False)
    monkeypatch.delenv("OPENCLAW_BOOT_ID", raising=False)
    monkeypatch.setattr("socket.gethostname", lambda: "laptop")


def settings(folder: Path, *, on_instance: bool) -> Settings:
    return Settings("bucket", "us-east-1", folder, folder, folder, on_instance=on_instance)


@pytest.mark.usefixtures("imds")
@pytest.mark.parametrize("on_instance", [True, False])
def test_the_metadata_service_knows_the_instance(tmp_path: Path, on_instance: bool) -> None:
    assert instance_id(settings(tmp_path, on_instance=on_instance)) == EC2_ID


def test_elsewhere_the_host_name_stands_in(tmp_path: Path) -> None:
    assert instance_id(settings(tmp_path, on_instance=False)) == "laptop"


@pytest.mark.parametrize("name", ["Jörg's Mac", "", "-x", "a b", "x" * 300])
def test_a_host_name_of_any_form_makes_an_id_that_every_agent_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: name)
    found = instance_id(settings(tmp_path, on_instance=False))
    record = Lease(1, found, "", released=False)
    assert Lease.decode(record.encode()) == record


@pytest.mark.parametrize("given", ["a b", "\x1b[2J", "-x", "x" * 300])
def test_an_override_that_no_agent_would_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("OPENCLAW_INSTANCE_ID", given)
    with pytest.raises(UsageError, match="is not allowed: it must be letters, digits"):
        instance_id(settings(tmp_path, on_instance=False))


def test_on_an_instance_the_host_name_never_stands_in(tmp_path: Path) -> None:
    """A slow metadata service would make the owner a stranger to its own bucket."""
    pauses: list[float] = []
    with pytest.raises(AgentError, match="The metadata service does not answer"):
        instance_id(settings(tmp_path, on_instance=True), pauses.append)
    assert pauses == [1.0] * 4


def test_a_metadata_service_that_is_away_for_a_moment_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([MetadataUnavailable("slow"), None, EC2_ID])

    def get(_self: InstanceMetadata, _path: str) -> str | None:
        answer = next(answers)
        if isinstance(answer, MetadataUnavailable):
            raise answer
        return answer

    monkeypatch.setattr(InstanceMetadata, "get", get)
    pauses: list[float] = []
    assert instance_id(settings(tmp_path, on_instance=True), pauses.append) == EC2_ID
    assert pauses == [1.0] * 2


def test_what_this_boot_knows_is_not_asked_again(tmp_path: Path) -> None:
    Records(tmp_path).write_boot(BootRecord(boot_id(), EC2_ID, "bucket", 1, restored=True))
    assert instance_id(settings(tmp_path, on_instance=True)) == EC2_ID


def test_what_another_boot_knew_may_be_of_a_copied_disk(tmp_path: Path) -> None:
    Records(tmp_path).write_boot(BootRecord("another boot", "i-another", "bucket", 1, restored=True))
    assert instance_id(settings(tmp_path, on_instance=False)) == "laptop"


def test_a_given_id_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_INSTANCE_ID", "given")
    monkeypatch.setenv("OPENCLAW_BOOT_ID", "boot")
    assert (instance_id(settings(tmp_path, on_instance=True)), boot_id()) == ("given", "boot")


def test_the_kernel_gives_the_boot_id() -> None:
    assert len(boot_id()) == 36


def test_a_boot_that_nothing_tells_from_others_does_not_vouch_for_what_another_knew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "BOOT_ID_FILE", tmp_path / "missing")
    assert boot_id() == UNKNOWN_BOOT
    Records(tmp_path).write_boot(BootRecord(boot_id(), "i-another", "bucket", 1, restored=True))
    assert instance_id(settings(tmp_path, on_instance=False)) == "laptop"
