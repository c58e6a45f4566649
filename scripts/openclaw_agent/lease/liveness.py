"""Whether the instance that holds the lease still exists: one question to EC2."""

from collections.abc import Callable

from openclaw_agent.lease.record import Liveness

_GONE_STATES = frozenset({"terminated", "stopped"})


def ec2_liveness(region: str) -> Callable[[str], Liveness]:
    """A look-up of instances in EC2; what is no EC2 instance, or cannot be asked for, is unknown."""

    def look_up(instance_id: str) -> Liveness:
        if not instance_id.startswith("i-"):
            return Liveness.UNKNOWN
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            ec2 = boto3.client(
                "ec2",
                region_name=region,
                config=Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 3}),
            )
            answer = ec2.describe_instances(InstanceIds=[instance_id])
        except ClientError as problem:
            # EC2 forgets a terminated instance after about an hour.
            code = problem.response.get("Error", {}).get("Code", "")
            return Liveness.GONE if code.startswith("InvalidInstanceID") else Liveness.UNKNOWN
        except BotoCoreError:
            return Liveness.UNKNOWN
        states = [instance["State"]["Name"] for group in answer["Reservations"] for instance in group["Instances"]]
        return Liveness.GONE if all(state in _GONE_STATES for state in states) else Liveness.ALIVE

    return look_up
