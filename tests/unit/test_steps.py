"""A long job shows one line for each step, and the end of what was said when it fails."""

import re
import signal
import subprocess
import sys
from pathlib import Path

from scripts.steps import SHOWN_OF_A_FAILURE, Stacks

STEPS = Path(__file__).resolve().parents[2] / "scripts" / "steps.py"

SUCCESS = """\
 38.4 local-identity  Initializing the backend...
 40.4                 Terraform has been successfully initialized!
 42.6 local-zone-c  Initializing the backend...
 43.0               Terraform has been successfully initialized!
 53.1 local-identity  data.aws_caller_identity.account (account): Reading...
 53.4 local-network  Terraform used the selected providers to generate the following execution plan.
 53.5 local-identity  Terraform used the selected providers to generate the following execution plan.
 68.0 local-network  aws_route.nodes-a-out: Creation complete after 0s [id=r-rtb-61b898cead733852a1080289494]
 68.0 local-network  Apply complete! Resources: 42 added, 0 changed, 0 destroyed.
 70.4 local-identity  terraform_data.passwords: Creation complete after 1s
 70.4                 Apply complete! Resources: 23 added, 0 changed, 0 destroyed.
 76.1 local-zone-a  data.terraform_remote_state.cross-stack-reference-input-local-identity: Reading...
 76.1               data.terraform_remote_state.cross-stack-reference-input-local-network: Reading...
 78.6 local-zone-a  Terraform used the selected providers to generate the following execution plan.
101.0 local-zone-a  aws_instance.local-a1: Still creating... [10s elapsed]
102.0               Apply complete! Resources: 6 added, 0 changed, 0 destroyed.
133.2 (node:18898) MaxListenersExceededWarning: Possible EventTarget memory leak detected.
181.1   local-zone-a
181.1   cross-stack-output-aws_instance.local-a1.id = <sensitive>
"""
"""What `cdktf deploy` says, each line with the second in which it did: parts of a recorded one, colours removed."""

FAILURE = """\
local-network  Apply complete! Resources: 42 added, 0 changed, 0 destroyed.
local-identity  \x1b[0m\x1b[1mterraform_data.passwords: Creation complete after 1s\x1b[0m
local-identity  \x1b[31m╷\x1b[0m
                \x1b[31m│\x1b[0m \x1b[31mError: \x1b[0mcreating IAM Role: holdfast-local-node already exists.
                \x1b[31m╵\x1b[0m
0 Stacks deploying     2 Stacks done     4 Stacks waiting
Invoking Terraform CLI failed with exit code 1
"""


def steps(log: Path, program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, STEPS, log, "deploy", "--", sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_a_deploy_shows_each_stack_when_it_ends_and_the_times_add_up() -> None:
    stacks, shown = Stacks(33.0), []
    for recorded in SUCCESS.splitlines():
        now = float(recorded[:5])
        shown += [(now, line) for line in stacks.hear(recorded[6:], now)]
    assert shown == [
        (53.1, "synthesis, init        10 s"),
        (68.0, "local-network          25 s"),
        (70.4, "local-identity         27 s"),
        (102.0, "local-zone-a           32 s"),
    ]
    assert stacks.failed == []


def test_a_command_without_stacks_shows_one_line_and_its_output_goes_to_the_log(tmp_path: Path) -> None:
    done = steps(tmp_path / "log" / "up.log", "print('\\x1b[1mthe twin is up\\x1b[0m')")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"deploy +\d+ s\n", done.stdout)
    assert (tmp_path / "log" / "up.log").read_text() == "the twin is up\n"


def test_a_failure_ends_with_its_error_and_a_sentence_and_passes_the_exit_code_on(tmp_path: Path) -> None:
    log = tmp_path / "up.log"
    done = steps(log, f"print('early\\n' * 60 + {FAILURE!r}, end=''); raise SystemExit(3)")
    assert done.returncode == 3
    assert re.fullmatch(r"local-network +\d+ s\n", done.stdout)
    *before, last = done.stderr.splitlines()
    assert before == [
        "                │ Error: creating IAM Role: holdfast-local-node already exists.",
        "                ╵",
        "0 Stacks deploying     2 Stacks done     4 Stacks waiting",
        "Invoking Terraform CLI failed with exit code 1",
        "",
    ]
    details = f"; the details are in {log}"
    assert re.fullmatch(rf"deploy \(local-identity\) failed after \d+ s with exit code 3{details}", last)
    assert len(log.read_text().splitlines()) == 67


def test_what_others_say_after_the_first_error_does_not_hide_it(tmp_path: Path) -> None:
    error, others = "local-identity  │ Error: deleting S3 Bucket\n", "local-network  Destroying...\n"
    done = steps(tmp_path / "up.log", f"print({error!r} + {others!r} * 100); raise SystemExit(1)")
    assert done.stderr.splitlines()[0] == error.strip()
    assert len(done.stderr.splitlines()) == SHOWN_OF_A_FAILURE + 2


def test_without_an_error_the_end_of_what_was_said_is_shown(tmp_path: Path) -> None:
    done = steps(tmp_path / "up.log", "print('early\\n' * 60 + 'late'); raise SystemExit(1)")
    assert done.stderr.splitlines()[:SHOWN_OF_A_FAILURE] == ["early"] * (SHOWN_OF_A_FAILURE - 1) + ["late"]


def test_an_interrupt_reaches_the_command_and_the_step_fails_after_the_command_has_ended(tmp_path: Path) -> None:
    program = """if True:
        import signal, sys, time
        def end(*_):
            print("state is written", flush=True)
            sys.exit(0)
        signal.signal(signal.SIGINT, end)
        print("ready", flush=True)
        time.sleep(20)
    """
    log = tmp_path / "up.log"
    command = [sys.executable, STEPS, log, "deploy", "--", sys.executable, "-c", program]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as running:
        while not (log.exists() and log.read_text()):
            assert running.poll() is None
        subprocess.run(["kill", f"-{signal.SIGINT.value}", "--", f"-{running.pid}"], check=True)
        _, said = running.communicate(timeout=15)
    assert (running.returncode, log.read_text()) == (130, "ready\nstate is written\n")
    assert re.fullmatch(rf"deploy was interrupted after \d+ s; the details are in {log}\n", said)
