"""The tests of this folder are written as only Python 3.14 can read them."""

import sys

collect_ignore_glob = [] if sys.version_info >= (3, 14) else ["test_*.py"]
