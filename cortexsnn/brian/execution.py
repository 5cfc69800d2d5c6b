"""Blocks of a run through a device: several at once where they are independent, in order where they are not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from cortexsnn.brian.blocks import Block, BlockResult, Runner, block_result
from cortexsnn.brian.build import Plan
from cortexsnn.brian.layout import TrialState
from cortexsnn.network import SpikeInput

__all__ = ["run_blocks"]

Inputs = Mapping[str, SpikeInput]


def _counts(inputs: Inputs, trials: range, steps: range) -> dict[str, NDArray[np.uint8]]:
    return {name: one.counts(trials, steps) for name, one in inputs.items()}


def _seed_of(block: Block, seed: int | None) -> int | None:
    """A seed of its own for every block."""
    if seed is None:
        return None
    place = (block.trials.start, block.steps.start)
    return int(np.random.SeedSequence(seed, spawn_key=place).generate_state(1)[0])


def _run_in_order(
    plan: Plan,
    runner: Runner,
    inputs: Inputs,
    blocks: Iterable[Block],
    state: TrialState | None,
    seed: int | None,
    done: Callable[[BlockResult], None],
) -> None:
    """Run blocks of which each goes on where the one before it ended, or one that stands alone."""
    for block in blocks:
        before = None
        if plan.continuing:
            start = block.steps.start
            before = _counts(inputs, block.trials, range(max(0, start - plan.layout.gap), start))
        counts = _counts(inputs, block.trials, block.steps)
        seen = runner.run(counts, before, state if block.steps.start else None, _seed_of(block, seed))
        result = block_result(plan, block, seen)
        state = result.state
        done(result)


def run_blocks(
    plan: Plan,
    runner: Runner,
    inputs: Inputs,
    blocks: Iterable[Block],
    done: Callable[[BlockResult], None],
    *,
    processes: int = 1,
    states: Mapping[int, TrialState] | None = None,
    seed: int | None = None,
) -> None:
    """Run blocks and hand over each result as soon as it is there.

    Parameters
    ----------
    plan : Plan
    runner : Runner
    inputs : mapping from str to SpikeInput
    blocks : iterable of Block
        Those of one trial in order.
    done : callable
        Called with every `BlockResult`, from one thread at a time or several.
    processes : int
        Blocks at once.
    states : mapping from int to TrialState, optional
        Where trials stand of which the first blocks were run before.
    seed : int, optional
        Of the random numbers that the circuit asks for.
    """
    known = states or {}
    chains = [list(chain) for _, chain in groupby(blocks, key=lambda block: block.trials)]
    if processes == 1:
        for chain in chains:
            _run_in_order(plan, runner, inputs, chain, known.get(chain[0].trials.start), seed, done)
        return
    with ThreadPoolExecutor(processes) as pool:
        futures = [
            pool.submit(_run_in_order, plan, runner, inputs, chain, known.get(chain[0].trials.start), seed, done)
            for chain in chains
        ]
        try:
            finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in finished:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            runner.stop()
            raise
