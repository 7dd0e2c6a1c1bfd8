"""docs/conformance.md is what the tests say today, and the sections that they name exist."""

import subprocess
import sys

from lint_common import ROOT

sys.exit(subprocess.run([ROOT / "scripts/gen-conformance", "--check"]).returncode)
