"""Spot prices of instance types in the zones of a region, as `make ec2-spot-prices` shows them."""
