"""Trying a running cluster out: writers, deploys of edited files, what reaches what, and a judge of what was lost.

For tests, benchmarks and soak runs on the twin. Nothing here knows of pytest.
"""
