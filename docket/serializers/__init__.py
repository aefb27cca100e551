"""What stands for values on the server: JSON, sealed, or the program's own; pickles are in the store.

A docket has the serializers that it was given: ``Docket(serializer="json")``. What they need is imported as they are
made.
"""

from __future__ import annotations

from .choosing import Serializers, chosen
from .custom import AnySerializer, HasDumpsAndLoads
from .json import Json
from .keys import keys_of_file
from .misfit import Misfit
from .sealed import Sealed, SealedOtherwise

__all__ = [
    "AnySerializer",
    "HasDumpsAndLoads",
    "Json",
    "Misfit",
    "Sealed",
    "SealedOtherwise",
    "Serializers",
    "chosen",
    "keys_of_file",
]
