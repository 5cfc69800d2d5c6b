"""Evidence at two rates: two streams of evidence, one to be integrated quickly and one slowly, and one decision.

Evidence comes in pulses for or against, as in the accumulation tasks of Brody & Hanks 2016
(https://doi.org/10.1016/j.conb.2016.01.003), and the answer is a weighted sum over two streams, as in the adding
problem (Hochreiter & Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735). Old evidence is discounted with a
time constant that the task sets, so that the best timescale of integration is known; where it follows from the
statistics of the evidence, rats adopt it (Piet, El Hady & Brody 2018, https://doi.org/10.1038/s41467-018-06561-y).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import not_negative, positive
from cortexsnn.datasets.dataset import Dataset
from cortexsnn.datasets.tasks.trials import HIGH, LOW, SILENT, RateCodedTask, balanced, load_task, whole_steps
from cortexsnn.errors import InputError

__all__ = ["Accumulation", "leaky_integral", "load"]


@dataclass(frozen=True, kw_only=True)
class Accumulation(RateCodedTask):
    """Two streams of evidence, integrated with two time constants; the answer is the sign of the weighted sum.

    Each stream has a group of channels for and one against. Its evidence e(t) is +1 or -1, drawn anew for every
    sample of `sample_ms` with equal probability. Where it is +1, the group for fires at `high_hz` and the group
    against at `low_hz`; where it is -1, the other way round. After `evidence_ms` the evidence ends, and in the
    remaining `answer_ms`, which are scored, there is only noise. The groups are: fast for, fast against, slow for,
    slow against.

    With x(t) = exp(-dt / tau) x(t - dt) + e(t) for the fast stream (tau = `fast_ms`) and the slow one (`slow_ms`),
    each divided by its standard deviation at the end of the evidence, the decision variable is ::

        z = (1 - slow_weight) x_fast + slow_weight x_slow

    and the label is 1 if z is positive at the end of the evidence, else 0. It is 1 in half of the trials of a split:
    where it would not be, all evidence of the trial is turned round. Steps before the answer have the label of their
    own z. No linear integrators of the spikes are better than leaky ones with these time constants; one with another
    time constant tau' has a correlation of about 2 sqrt(tau tau') / (tau + tau') with the right one. An observer
    without memory has an accuracy of exactly 1/2.

    Parameters
    ----------
    fast_ms, slow_ms : float
        Time constants of the two streams; the fast one is not above the slow one.
    slow_weight : float
        From 0 (only the fast stream counts) to 1 (only the slow one).
    evidence_ms, sample_ms, answer_ms : float
        Duration of the evidence, a whole number of samples; of a sample; and of the answer.
    channels_per_group, low_hz, high_hz, noise_hz, dt_ms
        See `cortexsnn.datasets.tasks.trials.RateCodedTask`.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> task = Accumulation(fast_ms=50, slow_ms=400)
    >>> task.timescales_ms
    {'fast': 50.0, 'slow': 400.0}
    >>> split = task.generate(4, np.random.default_rng(0))
    >>> split.counts.shape, split.labels[:, -1].sum()
    ((4, 105, 40), np.int64(2))
    """

    fast_ms: float = 50.0
    slow_ms: float = 500.0
    slow_weight: float = 0.5
    evidence_ms: float = 1000.0
    sample_ms: float = 20.0
    answer_ms: float = 50.0

    name: ClassVar[str] = "accumulation"

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("fast_ms", "slow_ms"):
            positive(field, getattr(self, field), "a positive number of milliseconds")
        if self.fast_ms > self.slow_ms:
            raise InputError("fast_ms and slow_ms", (self.fast_ms, self.slow_ms), "the shorter time constant first")
        if not_negative("slow_weight", self.slow_weight) > 1:
            raise InputError("slow_weight", self.slow_weight, "a number from 0 to 1")
        for field in ("evidence_ms", "sample_ms", "answer_ms"):
            whole_steps(field, getattr(self, field), self.dt_ms)
        if self._evidence_steps % self._sample_steps:
            raise InputError("evidence_ms", self.evidence_ms, f"a multiple of sample_ms = {self.sample_ms:g}")

    @property
    def _evidence_steps(self) -> int:
        return whole_steps("evidence_ms", self.evidence_ms, self.dt_ms)

    @property
    def _sample_steps(self) -> int:
        return whole_steps("sample_ms", self.sample_ms, self.dt_ms)

    @property
    def groups(self) -> int:
        """For and against, of two streams."""
        return 4

    @property
    def steps(self) -> int:
        """Evidence and answer."""
        return self._evidence_steps + whole_steps("answer_ms", self.answer_ms, self.dt_ms)

    @property
    def timescales_ms(self) -> dict[str, float]:
        """The time constants with which evidence has to be integrated."""
        return {"fast": float(self.fast_ms), "slow": float(self.slow_ms)}

    def scored_steps(self) -> NDArray[np.bool_]:
        """Steps of the answer, shape (time,)."""
        return np.arange(self.steps) >= self._evidence_steps

    def decision_variable(self, evidence: NDArray[Any]) -> NDArray[np.float64]:
        """Weighted sum z of the two leaky integrals.

        Parameters
        ----------
        evidence : array, shape (trial, time, 2)
            Of the fast and the slow stream, in every step of `evidence_ms`.

        Returns
        -------
        numpy.ndarray, shape (trial, time)
        """
        total = np.zeros(evidence.shape[:2])
        for stream, (tau_ms, weight) in enumerate(
            ((self.fast_ms, 1 - self.slow_weight), (self.slow_ms, self.slow_weight))
        ):
            # A step of evidence counts exp(-age / tau) at the end; steps of a sample count together.
            share = np.exp(-np.arange(self._evidence_steps) * self.dt_ms / tau_ms).reshape(-1, self._sample_steps)
            deviation = np.sqrt(np.square(share.sum(axis=1)).sum())
            total += weight * leaky_integral(evidence[..., stream], tau_ms, self.dt_ms) / deviation
        return total

    def draw(self, trials: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """What every group does in every step, shape (trial, time, group), and the label of every step."""
        answer = balanced(trials, 2, rng)
        samples = 2 * rng.integers(2, size=(trials, self._evidence_steps // self._sample_steps, 2), dtype=np.int8) - 1
        evidence = np.repeat(samples, self._sample_steps, axis=1)
        decision = self.decision_variable(evidence)
        turned = np.where((decision[:, -1] > 0) == (answer == 1), 1, -1)[:, None]
        evidence *= turned[..., None].astype(np.int8)

        levels = np.full((trials, self.steps, self.groups), SILENT, dtype=np.uint8)
        favour = evidence > 0
        levels[:, : self._evidence_steps, 0::2] = np.where(favour, HIGH, LOW)
        levels[:, : self._evidence_steps, 1::2] = np.where(favour, LOW, HIGH)
        labels = np.repeat(answer[:, None], self.steps, axis=1)
        # The last step has the answer already, also where z is 0 and the answer a toss.
        labels[:, : self._evidence_steps - 1] = (decision * turned)[:, :-1] > 0
        return levels, labels


def leaky_integral(evidence: NDArray[Any], tau_ms: float, dt_ms: float) -> NDArray[np.float64]:
    """Integrate with a leak: x(t) = exp(-dt / tau) x(t - dt) + e(t).

    Parameters
    ----------
    evidence : array, shape (..., time)
    tau_ms, dt_ms : float

    Returns
    -------
    numpy.ndarray, shape (..., time)

    Examples
    --------
    >>> leaky_integral(np.array([1, 0, 0]), tau_ms=20.0, dt_ms=10.0).round(3)
    array([1.   , 0.607, 0.368])
    """
    from scipy.signal import lfilter  # slow to import

    return np.asarray(lfilter([1.0], [1.0, -np.exp(-dt_ms / tau_ms)], evidence, axis=-1))


def load(
    *, seed: int = 0, train: int = 10_240, validation: int = 1_024, test: int = 1_024, **parameters: Any
) -> Dataset:
    """Draw the three splits from independent streams of one seed.

    Parameters
    ----------
    seed : int
    train, validation, test : int
        Number of trials.
    **parameters
        Those of `Accumulation`: ``fast_ms``, ``slow_ms``, ``slow_weight``, ``evidence_ms``, ``sample_ms``,
        ``answer_ms``, ``channels_per_group``, ``low_hz``, ``high_hz``, ``noise_hz``, ``dt_ms``.

    Returns
    -------
    Dataset
        ``description["timescales_ms"]`` has the time constants of integration.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> dataset = load(seed=1, train=8, validation=4, test=4, slow_ms=300)
    >>> dataset.train.counts.shape, dataset.description["timescales_ms"]
    ((8, 105, 40), {'fast': 50.0, 'slow': 300.0})
    """
    return load_task(Accumulation(**parameters), seed=seed, train=train, validation=validation, test=test)
