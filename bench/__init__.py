"""Benchmarks: what they measure is kept in docs/benchmarks.md and docs/failover.md."""
