"""Everything that reads and writes one docket: the one thing that all code below `Docket` holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import attrs

from ..rules import LEVELS, Priority
from ..transport import Client, Subscriptions
from ..values import define
from .admission import Admissions
from .byhand import ByHand
from .catalogue import Catalogue
from .claims import Claims
from .dead_letters import DeadLetters
from .due import DueTasks
from .expiring import Expiring
from .failures import Failures
from .failures_kept import FailuresKept
from .groups import Groups
from .keys import Keys
from .lanes import Lanes
from .ledger import Ledger
from .listing import Listing
from .liveness import Liveness
from .pauses import Pauses
from .payloads import Payloads
from .progress import ProgressReports
from .records import Records
from .result_storage import ResultStorage
from .schedule import Schedule
from .strikes import Strikes
from .trees import Trees

__all__ = ["DocketStore"]


@define(eq=False, kw_only=True)
class DocketStore:
    """One docket on one server, for any number of threads and event loops (I8).

    ``ttl`` is how long a final record and its result are kept (zero: not at all; None: for ever), ``expiry`` how long
    after its last heartbeat a worker is gone. With ``ttl_travels`` the tasks that are placed have ``ttl``, whichever
    worker runs them. Settings do not change: ``attrs.evolve`` makes another store of the same docket, with the same
    strikes and subscriptions.
    """

    client: Client
    keys: Keys
    ttl: timedelta | None
    expiry: timedelta
    result_storage: ResultStorage | None
    """Where results are kept instead of on the server."""
    strikes: Strikes
    subscriptions: Subscriptions
    """Of all that follow executions, on one connection for each event loop."""
    payloads: Payloads = attrs.field(factory=Payloads)
    """Makes and opens what stands for values on the server."""
    ttl_travels: bool = False
    failures_kept: FailuresKept = attrs.field(factory=FailuresKept)
    history_ttl: timedelta = timedelta(0)
    """How long rows of ended runs are kept; zero: nothing of them."""
    history_kept: int = 0
    """How many rows of each task."""

    schedule: Schedule = attrs.field(init=False)
    """Places and cancels."""
    expiring: Expiring = attrs.field(init=False)
    """Ends what expires as it waits."""
    due: DueTasks = attrs.field(init=False)
    """Moves what is due to the stream."""
    by_hand: ByHand = attrs.field(init=False)
    """Claims and ends runs for programs that are their own worker."""
    progress: ProgressReports = attrs.field(init=False)
    records: Records = attrs.field(init=False)
    """Reads executions, results and the whole docket."""
    admissions: Admissions = attrs.field(init=False)
    """Reads and frees limits, on behalf of no worker."""
    pauses: Pauses = attrs.field(init=False)
    """Pauses and resumes tasks, and reads which are."""
    liveness: Liveness = attrs.field(init=False)
    """Heartbeats, and the list of live workers."""
    listing: Listing = attrs.field(init=False)
    """Counts and lists what is on the docket, page by page."""
    dead_letters: DeadLetters = attrs.field(init=False)
    failures: Failures = attrs.field(init=False)
    """What is kept of failures, for operators."""
    groups: Groups = attrs.field(init=False)
    """Opens and leaves task groups, and looks after who is in them."""
    trees: Trees = attrs.field(init=False)
    """Reads runs and the groups that they have opened."""
    ledger: Ledger = attrs.field(init=False)
    """How runs have ended."""
    catalogue: Catalogue = attrs.field(init=False)
    """What workers say about the tasks that they know."""

    def __attrs_post_init__(self) -> None:
        client, keys, ttl = self.client, self.keys, self.ttl
        self.schedule = Schedule(client, keys, ttl, ttl if self.ttl_travels else ...)
        self.due = DueTasks(client, keys, ttl, self.failures_kept)
        self.expiring = Expiring(client, keys, ttl)
        self.by_hand = ByHand(client, keys, ttl)
        self.progress = ProgressReports(client, keys, ttl)
        self.records = Records(client, keys)
        self.admissions = Admissions(client, keys)
        self.pauses = Pauses(client, keys)
        self.liveness = Liveness(client, keys, self.expiry, depths_too=self.history_ttl > timedelta(0))
        self.ledger = Ledger(client, keys, self.history_ttl, self.history_kept)
        self.catalogue = Catalogue(client, keys, self.expiry)
        self.listing = Listing(client, keys, self.expiry)
        self.groups = Groups(client, keys, ttl, self.result_storage)
        self.trees = Trees(client, keys)
        self.dead_letters = DeadLetters(client, keys)
        self.failures = Failures(client, keys, self.failures_kept)

    def claims(self, worker: str, lanes: Sequence[Priority] = LEVELS) -> Claims:
        """The deliveries of one worker that serves these levels. They have state, so each call makes new ones."""
        return Claims(
            self.client, self.keys, worker, self.ttl, self.failures_kept, lanes=Lanes(self.keys, lanes)
        )
