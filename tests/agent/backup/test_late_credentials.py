"""A metadata service that has no credentials yet: the final backup, which comes only once, waits for them."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from openclaw_agent.store.credentials import PATIENT
from tests.support.odd_metadata import Exchange, Manner, OddMetadata, hangs, says
from tests.support.simulated_instance import FreshBucket, SimulatedInstance, contents

ROLES = "/latest/meta-data/iam/security-credentials/"
CREDENTIALS = {
    "Code": "Success",
    "Type": "AWS-HMAC",
    "AccessKeyId": "testing",
    "SecretAccessKey": "testing",
    "Token": "testing",
    "Expiration": (datetime.now(UTC) + timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ"),
}


def after(*troubles: Manner) -> Manner:
    """A manner for each of the first requests; then the role's name."""
    left = list(troubles)

    def manner(exchange: Exchange) -> None:
        (left.pop(0) if left else says("role"))(exchange)

    return manner


def with_credentials_of_its_role(machine: SimulatedInstance, service: OddMetadata) -> None:
    machine.environment.update(
        AWS_ACCESS_KEY_ID="",
        AWS_SECRET_ACCESS_KEY="",
        AWS_EC2_METADATA_DISABLED="false",
        AWS_EC2_METADATA_SERVICE_ENDPOINT=service.endpoint_url,
    )


@pytest.mark.parametrize(
    "troubles",
    [(says("", 500), says("", 503)), (says("", 404), says("", 404)), (hangs, says("", 500))],
    ids=["errors", "no role yet", "late"],
)
def test_a_final_backup_waits_for_credentials_that_come_late(
    world: FreshBucket, machine: SimulatedInstance, troubles: tuple[Manner, ...]
) -> None:
    machine.write("notes.md", "the last word")
    with OddMetadata({ROLES: after(*troubles), f"{ROLES}role": says(json.dumps(CREDENTIALS))}) as service:
        with_credentials_of_its_role(machine, service)
        run = machine.backup("--final")
    assert run.code == 0, run.err
    assert world.owner()["released"]
    assert contents(world.booted("second").state) == {"notes.md": "the last word"}


def test_a_backup_that_comes_again_by_itself_does_not_wait(machine: SimulatedInstance) -> None:
    machine.write("notes.md")
    with OddMetadata({ROLES: says("", 500)}) as service:
        with_credentials_of_its_role(machine, service)
        run = machine.backup()
        assert run.code == 1
        assert "No AWS credentials were found" in run.err
        assert service.times_asked(ROLES) < PATIENT.attempts
