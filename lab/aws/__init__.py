"""The embedded AWS of the lab: moto's server, and a Pulumi engine that creates what programs register in it."""
