"""The answers of ``Network.evaluate`` and ``Network.fit``."""

from __future__ import annotations

from typing import List, NamedTuple, Optional


class Evaluation(NamedTuple):
    """The cost of samples, a mean over them, and the share of classes that were right."""

    cost: float
    #: None where the targets are no classes, or there are no samples.
    accuracy: Optional[float]


class Epoch(NamedTuple):
    """One epoch of ``Network.fit``."""

    #: Counted from 1.
    number: int
    #: The mean of the cost over all samples, each before the step that it took part in.
    cost: float
    #: On the validation set after the epoch, where there is one.
    validation: Optional[Evaluation]
    #: Whether no epoch of this fit before had as low a cost: on the validation set, or in training where there is none.
    is_best: bool


class History(NamedTuple):
    """The course of a ``Network.fit``."""

    epochs: List[Epoch]
    #: The number of the epoch with the lowest cost; 0 where none was done.
    best_epoch: int
    #: "all epochs", "no improvement" or "callback".
    end: str
