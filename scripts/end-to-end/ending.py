"""How a test of a whole lake ends: everything is made final, and every program agrees with the oracle."""

from harness import checks, oracle
from harness.data import rfc3339
from harness.lakehouse import until
from harness.oracle import day_span
from harness.rest import all_final, compare, serving


def assert_everything_final(workspace, expected):
    """The nightly run, `maintain`, and the nightly run again with --force: each leaves what the oracle says."""
    zone = workspace.rules.zone
    days = checks.days_of(expected.events, zone)
    workspace.batch("nightly")
    assert_right(workspace, expected, days)
    workspace.batch("maintain")
    workspace.batch("nightly", "--force", "--from", str(days[0]), "--to", str(days[-1]))
    assert_right(workspace, expected, days)
    with serving(workspace) as client:
        span = rfc3339(day_span(days[0], zone)[0]), rfc3339(day_span(days[-1], zone)[1])
        wanted = oracle.final(expected.events, workspace.rules)
        until(lambda: all_final(client, wanted, *span), "the server shows final rows")
        compare(client, wanted, "final", 0, *span)
    before = workspace.lake.versions()
    workspace.land()
    workspace.batch("nightly")
    assert workspace.lake.versions() == before, "there is nothing left to do"


def assert_right(workspace, expected, days):
    """Landed rows and final rows, and what `audit` and `verify` say of them."""
    checks.landed(workspace, expected)
    checks.coverage(workspace)
    checks.final(workspace, expected.events, set(days))
    workspace.batch("audit")
    for day in days:
        workspace.batch("verify", "--date", str(day))
