"""Benchmarks: what they measure is kept in docs/benchmarks.md."""
