"""A minute of the chaos run (make chaos): load, and faults of all kinds by a schedule."""

import sys

from servers import ROOT

sys.path.append(str(ROOT / "tests" / "chaos"))

import scenarios  # noqa: E402
import verdict  # noqa: E402

SECONDS = 30


def test_promises_hold_amid_faults(folder):
    result = scenarios.chaos(folder, "check", SECONDS)
    verdict.show(result)
    assert result["passed"], result["breaches"]
    assert result["looks"] > SECONDS, "the tables were hardly looked at"
    assert all(total["committed"] > 1000 for total in result["tables"].values())
