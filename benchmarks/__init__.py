"""Time and memory beside the peers; benchmarks, not tests."""
