"""Flows become paths: topology, clocks, legs, and the joins across a translator."""
