"""What a program does with a docket: placing, following and reading runs.

Works on a `DocketStore`, messages and keys; a call, a run and a docket are protocols to it.
"""

from .annotations import Annotation, Logged, logged_parameters
from .by_hand import claim_by_hand, end_by_hand
from .descriptions import described, recurrence_of
from .key_names import KeyName
from .keyring import SigningKey, SigningMode, read_key_file, signatures_of
from .packed import Packed
from .placement import check_chunk_size, place, place_for, place_many, retry_many
from .presentation import compact_signature, show_call, show_packed
from .progress import ExecutionProgress, keepers
from .registry import (
    Remarks,
    TaskCollection,
    automatic,
    collection_at,
    find_task,
    name_of,
    register_collection,
    register_task,
    stand_in,
)
from .remote import RemoteTask, remote_task
from .results import over, read_failure, wait_for_result
from .signatures import (
    AnyFunction,
    PerFunction,
    R,
    TaskCall,
    TaskFunction,
    Unreadable,
    check_arguments,
    check_function,
    check_key,
    check_returned,
    get_signature,
    level_parameter,
    new_key,
    signature_cache,
)
from .storages import check_on_this_loop, check_storage, storage_at
from .strikes import Strikable, are_struck, is_struck
from .subscription import DROPPED, ExecutionEvents, Settable, comes_after

__all__ = [
    "DROPPED",
    "Annotation",
    "AnyFunction",
    "ExecutionEvents",
    "ExecutionProgress",
    "KeyName",
    "Logged",
    "Packed",
    "PerFunction",
    "R",
    "Remarks",
    "RemoteTask",
    "Settable",
    "SigningKey",
    "SigningMode",
    "Strikable",
    "TaskCall",
    "TaskCollection",
    "TaskFunction",
    "Unreadable",
    "are_struck",
    "automatic",
    "check_arguments",
    "check_chunk_size",
    "check_function",
    "check_key",
    "check_on_this_loop",
    "check_returned",
    "check_storage",
    "claim_by_hand",
    "collection_at",
    "comes_after",
    "compact_signature",
    "described",
    "end_by_hand",
    "find_task",
    "get_signature",
    "is_struck",
    "keepers",
    "level_parameter",
    "logged_parameters",
    "name_of",
    "new_key",
    "over",
    "place",
    "place_for",
    "place_many",
    "read_failure",
    "read_key_file",
    "recurrence_of",
    "register_collection",
    "register_task",
    "remote_task",
    "retry_many",
    "show_call",
    "show_packed",
    "signature_cache",
    "signatures_of",
    "stand_in",
    "storage_at",
    "wait_for_result",
]
