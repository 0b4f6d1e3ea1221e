"""What becomes of declared, missing, unseen and rare values, in one place."""

from dataclasses import dataclass, fields
from numbers import Integral, Real

from ..machine.errors import ParameterError, check_number
from .domain import Domain

MISSING = ("category", "marginalize", "error")
UNKNOWN = ("error", "reserve")


@dataclass(frozen=True)
class TablePolicy:
    """How a table becomes codes.

    Attributes
    ----------
    categories : "auto" or list of array-like
        The values that each column can take; "auto" for what its dtype declares, else what it holds.
    missing : "category", "marginalize" or "error"
        Whether a missing cell is a value of its own where fit saw one, not observed, or refused.
    handle_unknown : "error" or "reserve"
        Whether a value that fit did not see is refused, or has a code with all others.
    min_frequency : int, float or None
        Values that occur less often are grouped.
    max_categories : int or None
        At most so many codes for the values of a column, that of the group included.
    """

    categories: object = "auto"
    missing: str = "category"
    handle_unknown: str = "error"
    min_frequency: float | None = None
    max_categories: int | None = None

    @classmethod
    def of(cls, estimator):
        """The policy that the parameters of an estimator make."""
        return cls(**{field.name: getattr(estimator, field.name) for field in fields(cls)})

    def check(self):
        """Raise unless all but the categories are in range; those are checked against a table."""
        for name, known in (("missing", MISSING), ("handle_unknown", UNKNOWN)):
            value = getattr(self, name)
            if not isinstance(value, str) or value not in known:
                raise ParameterError(
                    f"{name} must be {' or '.join(map(repr, known))}, got {value!r}", parameter=name, value=value
                )
        if isinstance(self.min_frequency, Integral):
            check_number(self.min_frequency, "min_frequency", Integral, min_val=1)
        elif self.min_frequency is not None:
            check_number(self.min_frequency, "min_frequency", Real, min_val=0, max_val=1, include_boundaries="neither")
        if self.max_categories is not None:
            check_number(self.max_categories, "max_categories", Integral, min_val=1)

    def learn_domain(self, table, weight=None):
        """The domain of a table: Domain."""
        return Domain.learn(table, weight, **vars(self))

    def encode(self, domain, table, n_threads=1, ignore=(), *, infer=False):
        """What a table says in terms of a domain: Rows, as `Domain.encode` makes them."""
        return domain.encode(table, n_threads, missing=self.missing, ignore=ignore, infer=infer)
