"""The one family of errors whose text is meant for a person."""


class SkyclassError(Exception):
    """Something could not be done.

    The message is one line that says what happened and what to do about it; the command line
    prints it without a traceback and exits with status 1.
    """


class CatalogError(SkyclassError):
    """A source of observations cannot be read, or its rows cannot be understood."""


class ValidationError(CatalogError):
    """Rows are not what is expected of them."""


class StoreError(SkyclassError):
    """The object store did not do what was asked of it."""


class ReleaseError(SkyclassError):
    """A release is missing, incomplete or not what its manifest says."""


class ClusterError(SkyclassError):
    """Kubernetes did not do what was asked of it."""


class PromotionError(SkyclassError):
    """A release did not become champion; the one before is still served."""


class TrainingError(SkyclassError):
    """A training set cannot be trained on, or a run of the pipeline failed."""


class ServingError(SkyclassError):
    """The predictor cannot be started or reached."""


class MonitoringError(SkyclassError):
    """A monitoring window cannot be judged."""
