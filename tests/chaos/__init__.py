"""The chaos session: real worker and producer processes under torment, and a ledger that is checked at the end.

======================  =============================================================================================
`ledger`                what every process writes down, one line a fact, in files that no fault reaches
`tasks`                 the tasks of the session: plain, in threads, failing, retrying, limited, perpetual, ...
`poison`                tasks that try to harm others, and the end that each must have
`worker`, `producer`    the processes
`plan`                  the faults of a seed, in order
`torment`               carries out a plan
`rig`                   server, proxies and processes of one session; starts again what dies
`failover`              the same for a master, its replica and sentinels
`appendonly`            what the server itself wrote down: its append-only file
`leftovers`             what is left on the server when nothing is left to do
`accounts`              the ledger's lines as asks, runs and troubles
`checker`               what is wrong with all this
`session`               one session from its start to its report
======================  =============================================================================================
"""

__all__: list[str] = []
