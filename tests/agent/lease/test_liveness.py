import boto3
import pytest

from openclaw_agent.lease.liveness import ec2_liveness
from openclaw_agent.lease.record import Liveness
from tests.support.simulated_instance import FreshBucket


def test_what_ec2_says_of_an_instance_is_its_liveness(world: FreshBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    ec2 = boto3.client("ec2", region_name=world.aws.region)
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    started = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    look_up = ec2_liveness(world.aws.region)
    assert look_up(started) is Liveness.ALIVE
    ec2.terminate_instances(InstanceIds=[started])
    assert look_up(started) is Liveness.GONE
    assert look_up("i-0123456789abcdef0") is Liveness.GONE
    assert look_up("laptop") is Liveness.UNKNOWN
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert look_up(started) is Liveness.UNKNOWN
