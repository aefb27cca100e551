"""What a task can declare in its signature. The engine underneath is the ``uncalled-for`` package."""

from uncalled_for import CallArgument, CycleError, FailedDependency
from uncalled_for import DependencyFactory as DependencyFunction
from uncalled_for.functional import _Depends  # pyright: ignore[reportPrivateUsage] - downstream relies on it
from uncalled_for.introspection import _parameter_cache  # pyright: ignore[reportPrivateUsage] - so it does on this

from ..rules import LEASE_RENEWAL_FACTOR
from .admission import (
    ADMISSION_BLOCKED_RETRY_DELAY,
    Admission,
    AdmissionBlocked,
    admission_dependencies,
    check_admission,
)
from .at_once import AtOnce
from .base import (
    CompletionHandler,
    Dependency,
    FailureHandler,
    Runtime,
    TaskOutcome,
    current_docket,
    current_execution,
    current_worker,
    format_duration,
)
from .checks import check_suppliers, is_generator_function
from .concurrency import MINIMUM_TTL_SECONDS, ConcurrencyBlocked, ConcurrencyLimit
from .contextual import CurrentDocket, CurrentExecution, CurrentWorker, TaskArgument, TaskKey, TaskLogger
from .cooldown import Cooldown
from .cron import VIXIE_KEYWORDS, Cron
from .debounce import Debounce
from .fair_share import FairShare, share_of_call, takes_turns
from .functional import Depends, Shared
from .given import check_given, dependencies_of_call, given_among, rules_of_call
from .introspection import (
    forget,
    get_annotation_dependencies,
    get_dependency_parameters,
    validate_dependencies,
)
from .marks import Marks, get_marks
from .per_function import PerFunction
from .perpetual import Perpetual, perpetual_is_live
from .progress import Progress
from .ratelimit import RateLimit
from .resolution import (
    Resolved,
    conflicts,
    get_single_dependency_of_type,
    get_single_dependency_parameter_of_type,
    resolve,
    resolved_dependencies,
)
from .retry import ExponentialRetry, ForcedRetry, Retry
from .shared import SharedContext, SharedHost, is_hosting
from .signatures import Evaluator, arguments_of, content_of_cell, get_signature, shown_name, signature_cache
from .timeout import Timeout
from .tracebacks import DependencyStack, clear_calls, cut_to_the_users_code

__all__ = [
    "ADMISSION_BLOCKED_RETRY_DELAY",
    "LEASE_RENEWAL_FACTOR",
    "MINIMUM_TTL_SECONDS",
    "VIXIE_KEYWORDS",
    "Admission",
    "AdmissionBlocked",
    "AtOnce",
    "CallArgument",
    "CompletionHandler",
    "ConcurrencyBlocked",
    "ConcurrencyLimit",
    "Cooldown",
    "Cron",
    "CurrentDocket",
    "CurrentExecution",
    "CurrentWorker",
    "CycleError",
    "Debounce",
    "Dependency",
    "DependencyFunction",
    "DependencyStack",
    "Depends",
    "Evaluator",
    "ExponentialRetry",
    "FailedDependency",
    "FailureHandler",
    "FairShare",
    "ForcedRetry",
    "Marks",
    "PerFunction",
    "Perpetual",
    "Progress",
    "RateLimit",
    "Resolved",
    "Retry",
    "Runtime",
    "Shared",
    "SharedContext",
    "SharedHost",
    "TaskArgument",
    "TaskKey",
    "TaskLogger",
    "TaskOutcome",
    "Timeout",
    "_Depends",
    "_parameter_cache",
    "admission_dependencies",
    "arguments_of",
    "check_admission",
    "check_given",
    "check_suppliers",
    "clear_calls",
    "conflicts",
    "content_of_cell",
    "current_docket",
    "current_execution",
    "current_worker",
    "cut_to_the_users_code",
    "dependencies_of_call",
    "forget",
    "format_duration",
    "get_annotation_dependencies",
    "get_dependency_parameters",
    "get_marks",
    "get_signature",
    "get_single_dependency_of_type",
    "get_single_dependency_parameter_of_type",
    "given_among",
    "is_generator_function",
    "is_hosting",
    "perpetual_is_live",
    "resolve",
    "resolved_dependencies",
    "rules_of_call",
    "share_of_call",
    "shown_name",
    "signature_cache",
    "takes_turns",
    "validate_dependencies",
]
