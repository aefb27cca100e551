"""What Redis remembers of a docket. The only room that writes to it."""

from .admission import Admissions, Holding, LimitInUse
from .chain import Chain, chains
from .claims import Claims, Refused, Settled, Taken, Unreadable
from .codec import (
    Delivery,
    Message,
    decode_message,
    dump,
    dump_value,
    first_when,
    load,
    load_value,
    state_event,
)
from .due import DueTasks, Moved
from .keys import GROUP, Keys
from .liveness import Beat, Liveness, WorkerInfo
from .progress import Fence, ProgressReports
from .records import Picture, PictureEntry, ProgressRecord, Record, Records
from .schedule import ANY_STRIKES, Placed, Schedule, milliseconds
from .strikes import READ_AT_LEAST, Restore, Strike, StrikeInstruction, StrikeLog, StrikeMessage, Strikes

__all__ = [
    "ANY_STRIKES",
    "GROUP",
    "READ_AT_LEAST",
    "Admissions",
    "Beat",
    "Chain",
    "Claims",
    "Delivery",
    "DueTasks",
    "Fence",
    "Holding",
    "Keys",
    "LimitInUse",
    "Liveness",
    "Message",
    "Moved",
    "Picture",
    "PictureEntry",
    "Placed",
    "ProgressRecord",
    "ProgressReports",
    "Record",
    "Records",
    "Refused",
    "Restore",
    "Schedule",
    "Settled",
    "Strike",
    "StrikeInstruction",
    "StrikeLog",
    "StrikeMessage",
    "Strikes",
    "Taken",
    "Unreadable",
    "WorkerInfo",
    "chains",
    "decode_message",
    "dump",
    "dump_value",
    "first_when",
    "load",
    "load_value",
    "milliseconds",
    "state_event",
]
