"""One deployed stack as the commands see it: its place, its bucket, its group and its instance."""
