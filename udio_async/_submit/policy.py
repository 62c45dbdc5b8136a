"""What a client may spend: its limits, and which of them is reached."""

from fractions import Fraction

import attrs


@attrs.frozen(kw_only=True)
class SubmitPolicy:
    """What a client may spend; counts are requests."""

    concurrency: int = 4
    max_in_doubt: int = 4
    max_submits: int | None = None
    max_credits: float | None = None
    price: float | None = None
    """Credits for one request; None where it is not known."""

    @property
    def paid_for(self) -> int | None:
        """Requests that the credits are enough for; None where they limit nothing."""
        if self.max_credits is None or self.price is None:
            return None
        return affordable(self.max_credits, self.price)

    @property
    def limit(self) -> int | None:
        """Requests that both limits allow. It may be 0: what is paid for is still waited for."""
        limits = (self.max_submits, self.paid_for)
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def limit_reached(self) -> str:
        """Which limit is reached, and what to do: only a higher one of that name helps."""
        submits = f"max_submits={self.max_submits} is used up"
        requests, price = _counted(self.paid_for, "request"), _counted(self.price, "credit")
        paid = f"max_credits={self.max_credits or 0:.15g} pays for {requests} at {price} each"
        if self.limit != self.paid_for:
            return f"{submits}; give a higher max_submits"
        if self.limit != self.max_submits:
            return f"{paid}; give a higher max_credits"
        return f"{submits}, and {paid}; give a higher max_submits and max_credits"


def _counted(number: float | None, word: str) -> str:
    return f"{number or 0:.15g} {word}{'' if number == 1 else 's'}"


def affordable(credits: float, price: float) -> int:  # noqa: A002 - the word of every service here
    """Return how many requests credits are enough for.

    Both are taken as they are written: as floats, 0.1 goes into 0.3 only twice.
    """
    return Fraction(str(credits)) // Fraction(str(price))
