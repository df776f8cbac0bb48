"""The command line itself: help, wrong arguments, completion, and what becomes of an error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.shell_completion import ShellComplete

from holdfast import cli, topology
from holdfast.cli import app
from holdfast.cli.infrastructure import gate
from holdfast.cli.teststacks import reap
from holdfast.ops.review import run
from holdfast.twin import client, faults, machines
from scripts import docs

LARGE = ("boto3", "botocore", "cdktf", "jinja2", "pydantic", "yaml", "cryptography", "moto", "redis")
"""What commands need, and help does not."""


@pytest.mark.parametrize("arguments", [["--help"], ["status", "--help"], ["review", "--hlep"], ["teststack", "ul"]])
def test_help_and_wrong_arguments_import_nothing_large(arguments: list[str]) -> None:
    program = (
        f"import sys; from holdfast.cli import main; main({arguments}); "
        f"print([it for it in {LARGE} if it in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_every_command_has_help_that_fits_a_narrow_terminal() -> None:
    for context in docs.contexts():
        assert context.command.help, context.command_path
        assert [line for line in context.get_help().splitlines() if len(line) > docs.WIDTH or "%(" in line] == []
        unexplained = [it for it in context.command.params if not getattr(it, "help", None)]
        assert [it.name for it in unexplained if not getattr(it, "hidden", False)] == [], context.command_path


def test_the_page_of_the_command_line_is_fresh() -> None:
    assert docs.PAGE.read_text() == docs.page(), "docs/cli.md is old: make docs"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stauts", "local"], "No such command 'stauts'. Did you mean 'status'?"),
        (["twin", "falt"], "No such command 'falt'. Did you mean 'fault'?"),
        (["twin", "fault", "local", "kil", "leader"], "No such command 'kil'. Did you mean 'kill'?"),
        (["failover", "local", "--yess"], "No such option '--yess'. Did you mean '--yes'?"),
        (["endpoints"], "Missing argument 'ENV'."),
        (["status"], "Give either ENV or --all."),
        (["status", "local", "--all"], "Give either ENV or --all."),
        (["status", "--all", "--watch"], "--all goes with neither --watch nor --wait."),
        (["status", "local", "--watch", "--json"], "--watch goes with neither --wait nor --json."),
        (["status", "local", "--watch", "--wait", "5"], "--watch goes with neither --wait nor --json."),
        (["status", "--all", "--wait", "0"], "--all goes with neither --watch nor --wait."),
        (["status", "local", "--wait", "soon"], "'soon' is not a valid float"),
        (["policies", "prod", "--role", "admin"], "'admin': accepted: bake, boundary, deploy, reap, renew, review"),
        (["endpoints", "local", "--snippets", "perl"], "'perl': accepted: all, redis-py, ioredis, lettuce, go-redis"),
        (["certs", "rotate", "prod", "--due", "--authority"], "Give --due or --authority, not both."),
        (["gate", "local"], "Give either --expect or --whole."),
        (["gate", "local", "--whole", "--expect", "a=b"], "Give either --expect or --whole."),
        (
            ["gate", "local", "--expect", "a"],
            "a: found no NODE=INSTANCE; accepted: such as prod-a1=i-0123456789abcdef0",
        ),
    ],
)
def test_a_wrong_argument_is_answered_with_the_usage_of_its_command(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    answer = capsys.readouterr()
    assert answer.out == ""
    assert answer.err.startswith(f"Usage: holdfast {arguments[0] if arguments[0] != 'stauts' else ''}")
    assert said in answer.err


def test_without_a_command_help_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "Infrastructure:" in capsys.readouterr().err


def test_a_timeout_in_the_environment_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_GATE_TIMEOUT", "30")
    assert gate.make_context("gate", ["local", "--whole"]).params["timeout"] == 30
    monkeypatch.setenv("HOLDFAST_GATE_TIMEOUT", "soon")
    assert cli.main(["gate", "local", "--whole"]) == 2


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [([], 600), (["--timeout", "5"], 5), (["--patience", "5"], 5), (["--json", "--patience=600"], 600)],
)
def test_the_timeout_is_taken_under_its_former_name_too(arguments: list[str], seconds: float) -> None:
    context = reap.make_context("reap", arguments)
    assert context.params["timeout"] == seconds
    assert "--patience" not in context.get_help()


def test_an_interrupted_command_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(name: str) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(topology, "find_environment", interrupt)
    assert cli.main(["status", "local"]) == 130
    assert capsys.readouterr().err.strip() == "interrupted"


def test_a_reader_that_went_away_is_no_traceback() -> None:
    command = f"{Path(sys.executable).with_name('holdfast')} schema | head -c 1"
    assert subprocess.run(command, shell=True, capture_output=True, text=True).stderr == ""


def test_a_report_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "review", lambda *_: SimpleNamespace(digest="d"))
    (tmp_path / "file").touch()
    assert cli.main(["review", "local", "--digest", str(tmp_path / "file" / "digest")]) == 1
    assert "digest cannot be written" in capsys.readouterr().err


def test_sample_code_is_of_one_client_or_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["endpoints", "local", "--snippets", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["snippets"]) == ["redis-py", "ioredis", "lettuce", "go-redis"]
    assert cli.main(["endpoints", "--snippets=ioredis", "local", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["snippets"]) == ["ioredis"]


def test_a_fault_gets_what_was_given_for_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[Any] = []

    def inflict(*arguments: Any, **options: Any) -> faults.Fault:
        given.append((arguments, options))
        return faults.Fault("local", "freeze", "leader", ("i-1",), None)

    monkeypatch.setattr(faults, "inflict", inflict)
    assert cli.main(["twin", "fault", "local", "freeze", "leader", "--for", "5"]) == 0
    assert cli.main(["twin", "fault", "local", "api-outage"]) == 0
    assert cli.main(["twin", "fault", "local", "clock", "a", "--by", "-60", "--json"]) == 0
    assert given == [
        (("local", "freeze", "leader"), {"process": "redis", "amount": 5}),
        (("local", "api-outage", None), {}),
        (("local", "clock", "a"), {"amount": -60}),
    ]
    assert "undo: holdfast twin heal local" in capsys.readouterr().out


def test_a_command_in_a_machine_keeps_its_options_and_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []
    machine = {"name": "local-a1", "id": "i-1", "namespace": "a1"}
    monkeypatch.setattr(client, "request", lambda *_: {"instances": [machine]})
    monkeypatch.setattr(machines, "exec", lambda *arguments, **_: ran.append(arguments) or 7)
    assert cli.main(["twin", "exec", "local-a1", "--", "ls", "-l", "--", "--help"]) == 7
    assert ran == [("i-1", ("ls", "-l", "--", "--help"))]


def test_the_version_names_the_commit_of_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    git = ("git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e")
    subprocess.run([*git, "init", "--quiet"], check=True)
    monkeypatch.setattr(app, "CHECKOUT", tmp_path)
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == "holdfast 0.1.0\n"
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "first"], check=True)
    commit = subprocess.check_output([*git, "rev-parse", "--short", "HEAD"], text=True).strip()
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"holdfast 0.1.0 ({commit})\n"


def completions(*words: str) -> list[str]:
    *before, last = words
    complete = ShellComplete(app.holdfast, {}, "holdfast", "_HOLDFAST_COMPLETE")
    return [item.value for item in complete.get_completions(before, last)]


def test_names_are_completed() -> None:
    assert completions("s") == ["status", "sbom", "secrets", "schema"]
    assert completions("status", "") == ["local", "prod", "staging"]
    assert completions("reap", "--cloud", "pr") == ["prod"]
    assert completions("policies", "prod", "--role", "") == ["bake", "boundary", "deploy", "reap", "renew", "review"]
    assert completions("twin", "fault", "local", "power-") == ["power-cut", "power-off"]
    assert "--patience" not in completions("reap", "--")


@pytest.mark.parametrize("shell", app.SHELLS)
def test_a_shell_gets_its_completion_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--completion", shell]) == 0
    assert f"_HOLDFAST_COMPLETE={shell}_complete" in capsys.readouterr().out


def test_bash_completes_with_its_script() -> None:
    holdfast = Path(sys.executable).with_name("holdfast")
    program = f"""
        PATH={holdfast.parent}:$PATH
        eval "$(holdfast --completion bash)"
        COMP_WORDS=(holdfast validate stag) COMP_CWORD=2
        _holdfast_completion holdfast
        echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("staging\n", "")
