"""Runs that answer a question: the demo today, ablations and benchmarks later."""
