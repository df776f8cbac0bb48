"""The program that runs on every machine: standard library, and the distribution's python3-boto3 and python3-redis."""
