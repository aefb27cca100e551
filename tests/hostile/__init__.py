"""One task harms only itself (I9): a battery of hostile bodies, arguments, messages and names.

======================  =============================================================================================
`harness`               one trial: a culprit beside three innocents on one worker, and what must be so at the end
`exceptions`            what is raised, and cannot be shown, pickled, nested or trusted
`bodies`                where it is raised: bodies, threads, dependencies, handlers, conditions
`test_rows`             runs every row of the tables on three loops and both servers
======================  =============================================================================================

A new row is one line in the table of its kind.
"""

__all__: list[str] = []
