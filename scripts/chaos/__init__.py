"""Faults for real processes, and the proof afterwards: see chaos.py, which scripts/chaos.sh starts."""
