"""The long-lived half of openclaw-lab: buckets, the uploaded release, image repository, alarm topic, log groups."""
