"""What the author of a task says of its parameters in ``Annotated`` metadata: names that users of pydocket import."""

from .client import Annotation, Logged, logged_parameters

__all__ = ["Annotation", "Logged", "logged_parameters"]
