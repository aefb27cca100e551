"""The version that the stand-in claims: what the programs that ask for pydocket are content with."""

import os

__version__ = os.environ.get("PYDOCKET_VERSION") or "0.27.0"
