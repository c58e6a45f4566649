"""What may pass through the network's own way to S3; plain values in, a JSON-ready document out."""

from typing import Any


def s3_endpoint_policy(account_id: str) -> dict[str, Any]:
    """Let everything through to this account's buckets, and to all others no more than downloads.

    Downloads come from many buckets whose names are nobody's promise: the system's packages, layers of images, agents
    of AWS's, what the gateway fetches. What leaves goes to the account alone, whoever's keys it is signed with. Other
    regions' buckets are not reached this way, but by the internet (docs/adr/0014).
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "BucketsOfThisAccount",
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:ResourceAccount": account_id}},
            },
            {
                "Sid": "DownloadsFromAnywhere",
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": "*",
            },
        ],
    }
