"""Steps of a plan in chains: those of one subject in their order, several subjects at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from sinks.steps import Step

Run = Callable[[Sequence[Step]], Awaitable[bool]]
"""Does the steps of a chain; whether all were done."""


async def in_chains(steps: Sequence[Step], at_once: int, run: Run) -> bool:
    """Whether everything was done.

    Args:
        steps: as the plan gave them.
        at_once: subjects at the same time; 1: all steps are one chain.
        run: whatever it raises is raised, and the other chains are given up.
    """
    if at_once == 1:
        return await run(steps)
    free = asyncio.Semaphore(at_once)

    async def one(chain: Sequence[Step]) -> bool:
        async with free:
            return await run(chain)

    chains: dict[str, list[Step]] = {}
    for step in steps:
        chains.setdefault(step.subject, []).append(step)
    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(one(chain)) for chain in chains.values()]
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    return all(task.result() for task in running)
