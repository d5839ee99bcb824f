"""Some seconds of the chaos run (make chaos): load, and faults of all kinds by a schedule."""

import sys

import pytest

from servers import ROOT

sys.path.append(str(ROOT / "tests" / "chaos"))

import scenarios  # noqa: E402
import verdict  # noqa: E402

SECONDS = 15
SEED = "check 280"  # servers and daemons are killed, and vanish, one during the other


@pytest.mark.early
def test_guarantees_hold_under_faults(folder):
    result = scenarios.chaos(folder, SEED, SECONDS)
    verdict.show(result)
    # How soon all recovers, and what is repeated until then, depends on the machine, too, if it is
    # busy: make chaos judges that.  What is lost, forged, out of order or not as it was never is.
    breaches = [breach for breach in result["breaches"]
                if not breach.startswith(("liveness: ", "repeats: "))]
    assert breaches == []
    assert result["looks"] > SECONDS, "the tables were hardly looked at"
    assert all(total["committed"] > 1000 for total in result["tables"].values())
