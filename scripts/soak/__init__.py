"""The speed layer under load for hours: see soak.py, which scripts/soak.sh starts."""
