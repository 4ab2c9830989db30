"""Measurements, as ratios within one run. `python -m bench` prints them; none of them is a test."""
