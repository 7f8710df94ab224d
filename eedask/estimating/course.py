"""How many requests a run will send and how many seconds it will take, for ``plan.estimate()``."""

from __future__ import annotations

from dataclasses import dataclass

from eedask.estimating.pilot import Weights
from eedask.estimating.rehearsal import Course, Share, rehearsed
from eedask.estimating.scaling import Line
from eedask.quota.messages import Ceiling
from eedask.run.process import SPARE_THREADS
from eedask.tables.batch_sizes import BatchSizes


@dataclass(frozen=True)
class Place:
    """What a run has to work with: its quota and its processes.

    Attributes
    ----------
    ceiling : Ceiling
        The quota: requests at once and a second, of all processes together.
    processes : int
        Worker processes; 1 where a run is on threads of the script.
    abreast : int
        Partitions that each process works on at the same time.
    """

    ceiling: Ceiling
    processes: int = 1
    abreast: int = 1


def course_of(all_: Weights, line: Line, place: Place) -> Course:
    """Return what is expected of a run if no request is too large or has to be tried again.

    A run whose requests change in size as it learns which size works is simulated (see
    :func:`~eedask.estimating.rehearsal.rehearsed`). Of any other, the number of requests is known,
    and the seconds are the longest of what the rate allows, what the slots allow, and what a
    single request lasts.

    Parameters
    ----------
    all_ : Weights
        The requests, weights and partitions of all items.
    line : Line
        How long a request of a given weight lasts, as the pilot's requests showed.
    place : Place
        The quota and the processes.
    """
    ceiling = place.ceiling
    if isinstance(sizes := all_.sizes(), BatchSizes):
        processes = min(place.processes, all_.partitions)
        share = Share(
            partitions=-(-all_.partitions // processes),
            abreast=place.abreast,
            concurrency=-(-ceiling.concurrency // processes),
            rate=ceiling.rate and ceiling.rate / processes,
            threads=ceiling.concurrency + SPARE_THREADS,
        )
        one = rehearsed(all_.jobs, share, sizes.search, lambda weight: line.of(1, weight))
        requests = one.requests * all_.partitions / share.partitions
        return Course(requests, one.seconds, one.at_once * processes)
    requests = sum(all_.requests) / 2
    a_partition = -(-requests // all_.partitions)
    at_once = min(ceiling.concurrency, place.processes * place.abreast * a_partition, requests)
    lasted = line.of(requests, all_.weight)
    seconds = max(
        requests / ceiling.rate if ceiling.rate else 0.0,
        lasted / max(1.0, at_once),
        lasted / max(1.0, requests),
    )
    return Course(requests, seconds, max(1, int(at_once)))
