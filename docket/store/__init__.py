"""What Redis remembers of a docket. The only room that writes to it."""

from .admission import Admissions, Asking, Holding, LimitInUse
from .answers import about_key, check_expires, is_about_a_key, unreadable
from .byhand import ByHand
from .catalogue import Catalogue, ChainLook
from .chain import Chain, chains
from .claims import Again, Claims, Ended, Settled
from .codec import (
    EXPIRES,
    HELD_LIMITS,
    ONCE,
    SHARE,
    Delivery,
    Message,
    PassedOn,
    decode_message,
    first_when,
    state_event,
)
from .counted import ALL_TASKS, BOUNDS, KINDS_OF_SLOTS, STATES, Depth, EndState, RunCounts
from .dead_letters import DeadLetter
from .descriptions import Recurrence, TaskDescription
from .docket_store import DocketStore
from .due import DueTasks, Moved
from .errors_kept import restored
from .errors_told import Told, name_of_exception, tell
from .events import ProgressEvent, StateEvent, read_event
from .expiring import Expired, Expiring
from .expiry import expires_field, expires_of, why_expired, without_expiry
from .failures import FailureRow, Failures
from .failures_kept import FailureKept, FailureReport, FailuresKept, Wanted, epoch_ms
from .fence import Fence
from .foreign import is_whole
from .groups import GroupLost, GroupNow, Groups, OpenGroup
from .instructions import Restore, Strike, StrikeInstruction, StrikeMessage
from .keys import GROUP, Keys
from .lanes import Lanes
from .ledger import CHAINS_AT_ONCE, LONGEST_KEY, Ledger, Row, TaskEnds, row_text
from .levels import level_of, level_of_entry, with_level
from .listing import Counts, Listed
from .liveness import Beat, Liveness, WorkerInfo
from .looking import is_empty, look_at_call
from .misuse import KINDS, is_shared, misused
from .others import JSON, SEALED, key_id_of, sealed_head
from .pauses import EVERY_TASK, PauseRecord, Pauses, TooManyPauses, is_among
from .payloads import Payloads
from .pickles import dump, dump_value
from .plain import NotPlain, NotShown, fits, load_plain, read_plain
from .progress import ProgressReports, Report
from .records import (
    Depths,
    LastRun,
    Picture,
    PictureEntry,
    ProgressRecord,
    Record,
    Records,
    queued_at,
    turn_of,
    waits_for,
)
from .result_storage import ResultStorage
from .schedule import ANY_STRIKES, InGroup, Placed, Schedule, epoch, milliseconds
from .serializing import About, Pickles, Serializer
from .server_results import ServerResults
from .shares import having_had_its_turn, share_field, waited_as, waiting_anew, with_share
from .signing import Signatures
from .strikes import READ_AT_LEAST, StrikeLog, Strikes
from .sweeping import PENDING_PAGE, PendingDelivery, Sweeping
from .tags import PICKLE
from .taken import Refused, Taken, Unreadable
from .trees import Child, GroupState, GroupStood, RunNow, Trees
from .written import Written, written_of

__all__ = [
    "ALL_TASKS",
    "ANY_STRIKES",
    "BOUNDS",
    "CHAINS_AT_ONCE",
    "EVERY_TASK",
    "EXPIRES",
    "GROUP",
    "HELD_LIMITS",
    "JSON",
    "KINDS",
    "KINDS_OF_SLOTS",
    "LONGEST_KEY",
    "ONCE",
    "PENDING_PAGE",
    "PICKLE",
    "READ_AT_LEAST",
    "SEALED",
    "SHARE",
    "STATES",
    "About",
    "Admissions",
    "Again",
    "Asking",
    "Beat",
    "ByHand",
    "Catalogue",
    "Chain",
    "ChainLook",
    "Child",
    "Claims",
    "Counts",
    "DeadLetter",
    "Delivery",
    "Depth",
    "Depths",
    "DocketStore",
    "DueTasks",
    "EndState",
    "Ended",
    "Expired",
    "Expiring",
    "FailureKept",
    "FailureReport",
    "FailureRow",
    "Failures",
    "FailuresKept",
    "Fence",
    "GroupLost",
    "GroupNow",
    "GroupState",
    "GroupStood",
    "Groups",
    "Holding",
    "InGroup",
    "Keys",
    "Lanes",
    "LastRun",
    "Ledger",
    "LimitInUse",
    "Listed",
    "Liveness",
    "Message",
    "Moved",
    "NotPlain",
    "NotShown",
    "OpenGroup",
    "PassedOn",
    "PauseRecord",
    "Pauses",
    "Payloads",
    "PendingDelivery",
    "Pickles",
    "Picture",
    "PictureEntry",
    "Placed",
    "ProgressEvent",
    "ProgressRecord",
    "ProgressReports",
    "Record",
    "Records",
    "Recurrence",
    "Refused",
    "Report",
    "Restore",
    "ResultStorage",
    "Row",
    "RunCounts",
    "RunNow",
    "Schedule",
    "Serializer",
    "ServerResults",
    "Settled",
    "Signatures",
    "StateEvent",
    "Strike",
    "StrikeInstruction",
    "StrikeLog",
    "StrikeMessage",
    "Strikes",
    "Sweeping",
    "Taken",
    "TaskDescription",
    "TaskEnds",
    "Told",
    "TooManyPauses",
    "Trees",
    "Unreadable",
    "Wanted",
    "WorkerInfo",
    "Written",
    "about_key",
    "chains",
    "check_expires",
    "decode_message",
    "dump",
    "dump_value",
    "epoch",
    "epoch_ms",
    "expires_field",
    "expires_of",
    "first_when",
    "fits",
    "having_had_its_turn",
    "is_about_a_key",
    "is_among",
    "is_empty",
    "is_shared",
    "is_whole",
    "key_id_of",
    "level_of",
    "level_of_entry",
    "load_plain",
    "look_at_call",
    "milliseconds",
    "misused",
    "name_of_exception",
    "queued_at",
    "read_event",
    "read_plain",
    "restored",
    "row_text",
    "sealed_head",
    "share_field",
    "state_event",
    "tell",
    "turn_of",
    "unreadable",
    "waited_as",
    "waiting_anew",
    "waits_for",
    "why_expired",
    "with_level",
    "with_share",
    "without_expiry",
    "written_of",
]
