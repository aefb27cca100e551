"""Types and dependencies that other modules import for the type checker alone."""

from typing import Annotated

from docket import ConcurrencyLimit

Customer = Annotated[int, ConcurrencyLimit(1)]
