"""Probe traffic: who asks the members whether they are well."""
