"""What docket costs, beside an earlier build of it and beside other task queues; and what CI counts of that.

``python -m tests.bench`` measures (`plan` says what), ``python -m tests.bench.counts`` counts.
"""
