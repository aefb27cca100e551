"""The programs that are built on pydocket, run on this: ``nox -s clients``. Not part of the default run, nor of CI.

Nothing of theirs is kept here: packages, tests and all come from where they are published, when the session runs.
"""
