"""One task harms only itself (I9): a battery of hostile bodies, arguments, messages and names.

=============================  ======================================================================================
`harness`                      one trial: a culprit beside three innocents on one worker, and what must be so at the end
`exceptions`, `bodies`         what is raised, and where
`cancelling`, `scopes`         bodies that cancel themselves, or leave scopes open
`values`, `messages`           arguments, results and names; what others have written
`telling`                      who is told of a run, and raises
`test_rows`                    runs every row of these tables on three loops and both servers
`test_sweep`                   cancels a run at each of its steps
`mutations`, `fuzz`            what docket writes, mutated, on a docket at work
=============================  ======================================================================================

A new row is one line in the table of its kind.
"""

__all__: list[str] = []
