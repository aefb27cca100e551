"""Marks on the parameters of a task, in ``Annotated`` metadata."""

from .client import Annotation, Logged, logged_parameters

__all__ = ["Annotation", "Logged", "logged_parameters"]
