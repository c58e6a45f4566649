"""Tests of what the benches reckon with; they measure nothing."""
