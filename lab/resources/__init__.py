"""AWS's side of Pulumi, for either engine: each resource type and function, done in the embedded AWS through boto3."""
