"""What came of an estimate: a word for programs and a line for people, instead of a bare NaN."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Status"]


class Status(StrEnum):
    """What came of an estimate.

    Examples
    --------
    >>> Status.NO_DECAY.value, Status("ok").usable
    ('no_decay', True)
    >>> print(Status.TOO_SHORT.reason)
    the window is shorter than 5 tau, or the largest lag than tau: take the value as a rough one
    """

    OK = "ok"
    TOO_SHORT = "too_short"
    AT_BOUND = "at_bound"
    NO_DECAY = "no_decay"
    NOT_BETTER_THAN_NOISE = "not_better_than_noise"
    TOO_FEW_SPIKES = "too_few_spikes"
    TOO_FEW_TRIALS = "too_few_trials"
    OSCILLATION = "oscillation"
    NO_VARIANCE = "no_variance"
    EMPTY_BINS = "empty_bins"

    @property
    def usable(self) -> bool:
        """Whether tau has a value: ok and too_short."""
        return self in (Status.OK, Status.TOO_SHORT)

    @property
    def reason(self) -> str:
        """One line for people."""
        return _REASONS[self]


_REASONS = {
    Status.OK: "an exponential decay was found and the observation window is at least 5 tau",
    Status.TOO_SHORT: "the window is shorter than 5 tau, or the largest lag than tau: take the value as a rough one",
    Status.AT_BOUND: "tau ran to the end of its range (a tenth of a bin, ten observation windows): not measurable here",
    Status.NO_DECAY: "the autocorrelation does not fall with the lag",
    Status.NOT_BETTER_THAN_NOISE: "the decay is no larger than with the bins in random order",
    Status.TOO_FEW_SPIKES: "no neuron fires enough, and differently from trial to trial",
    Status.TOO_FEW_TRIALS: "too few trials for a correlation across trials",
    Status.OSCILLATION: "the activity oscillates: a decay alone does not describe its autocorrelation",
    Status.NO_VARIANCE: "the activity never changes",
    Status.EMPTY_BINS: "a bin is empty in all trials",
}
