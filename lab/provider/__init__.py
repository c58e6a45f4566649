"""The embedded AWS as a Pulumi provider: the handlers' work, asked for over Pulumi's provider protocol."""
