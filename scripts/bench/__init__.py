"""Measurements: a module for each command of scripts/bench.sh, and what they share."""
