"""The program that runs on every machine: standard library only."""
