"""Why the instance's role has actions on everything (`"*"`): what AWS lets nobody bind, and what binds it here."""

from collections.abc import Mapping

UNBOUND_ACTIONS: Mapping[str, str] = {
    "cloudwatch:PutMetricData": "Metrics have no ARN. A condition binds it to the stack's own namespace.",
    "ec2:DescribeInstances": (
        "EC2 binds no Describe action to a resource. It shows all instances of the account, and changes nothing."
    ),
    "ecr:GetAuthorizationToken": "A login is for the whole registry; what it may pull is bound to the stack's own.",
    "ssmmessages:CreateControlChannel": "Channels have no ARN. The instance's own credentials say whose one is.",
    "ssmmessages:CreateDataChannel": "As above, for the data of a session.",
    "ssmmessages:OpenControlChannel": "As above; a WebSocket that the agent keeps open.",
    "ssmmessages:OpenDataChannel": "As above, for the data of a session.",
}
"""Each action on `*`, with the reason; for none of them has AWS's reference a resource to name."""
