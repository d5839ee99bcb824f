"""Some seconds of the chaos run (make chaos): load, and faults of all kinds by a schedule."""

import sys

import pytest

from servers import ROOT

sys.path.append(str(ROOT / "tests" / "chaos"))

import scenarios  # noqa: E402
import verdict  # noqa: E402

SECONDS = 15
SEED = "check 280"  # servers and daemons are killed, and vanish, one amid the other


@pytest.mark.early
def test_promises_hold_amid_faults(folder):
    result = scenarios.chaos(folder, SEED, SECONDS)
    verdict.show(result)
    # Who stalls for longer than the time-out, as machines of tests do, repeats for that alone.
    breaches = [breach for breach in result["breaches"] if "without a fault" not in breach]
    assert breaches == []
    assert result["looks"] > SECONDS, "the tables were hardly looked at"
    assert all(total["committed"] > 1000 for total in result["tables"].values())
