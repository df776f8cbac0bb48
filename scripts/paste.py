"""Prints the last lines of `make up`: what a person can paste to set and get a key. Reads from `holdfast endpoints`."""

from __future__ import annotations

import json
import subprocess


def main() -> None:
    answer = subprocess.check_output(["holdfast", "endpoints", "local", "--json", "--show-password"], text=True)
    found = json.loads(answer)
    host, port = found["leader"]["forward"].split(":")
    redis_cli = f"redis-cli -h {host} -p {port} --user {found['user']} --pass {found['password']} --no-auth-warning"
    print(f"Try it:\n\n  {redis_cli} SET greeting hello\n  {redis_cli} GET greeting")


if __name__ == "__main__":
    main()
