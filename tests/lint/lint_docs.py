"""What of docs/ is made from tables is what the tables say today."""

import subprocess
import sys

from lint_common import ROOT, build_folder

sys.exit(subprocess.run([ROOT / "scripts/gen-docs", "--check", build_folder()]).returncode)
