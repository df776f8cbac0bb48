"""`holdfast review`: what a deploy would do."""

from __future__ import annotations

from pathlib import Path

import click

from holdfast.cli import options
from holdfast.cli.console import err, print_json, say, tell, write

BLOCKED = 3
"""Exit code of a review with a blocking finding that nothing overrides."""

ANOTHER = 4
"""Exit code of a review whose deploy differs from the expected one."""

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@options.environment
@click.option("--markdown", type=FILE, metavar="FILE", help="Write the report to FILE instead of standard output.")
@click.option("--html", type=FILE, metavar="FILE", help="Also write the report to FILE as a self-contained page.")
@click.option("--digest", type=FILE, metavar="FILE", help="Also write the SHA-256 of the planned changes to FILE.")
@click.option("--expect", metavar="SHA256", help="Exit with 4 if the planned changes have another digest.")
@click.option("--offline", is_flag=True, help="Need no credentials: compare the synthesised output of two commits.")
@click.option(
    "--base",
    default="origin/main",
    show_default=True,
    metavar="COMMIT",
    help="Commit to compare with, for --offline and for the findings of checkov.",
)
@options.json_too
def review(
    environment: str,
    markdown: Path | None,
    html: Path | None,
    digest: Path | None,
    expect: str | None,
    offline: bool,
    base: str,
    as_json: bool,
) -> int:
    """Report what a deploy would do to the cluster.

    The exit code is 3 when a finding blocks the deploy.
    """
    from holdfast.cli.infrastructure import usable
    from holdfast.ops.review import markdown as text
    from holdfast.ops.review import page, run
    from holdfast.topology import find_environment

    file = find_environment(environment)
    loaded = usable(file)
    with err.status(f"reviewing {loaded.name}"):
        made = (run.review_offline if offline else run.review)(loaded, file, base)
    if html:
        write(html, page.render(made))
    if markdown:
        write(markdown, text.render(made))
    if digest:
        write(digest, made.digest + "\n")
    if as_json:
        print_json(made.as_json())
    elif markdown:
        tell(made.headline)
    else:
        print(text.render(made), end="")
    if made.blocked:
        return BLOCKED
    if expect not in (None, made.digest):
        say(
            f"{loaded.name}: a deploy would do {made.digest[:12]} now, and {expect[:12]} was approved; "
            "review it anew, and have that approved"
        )
        return ANOTHER
    return 0
