"""Reports of training: scikit-learn's lines, or a progress bar."""

from __future__ import annotations

from typing import Any


class Silent:
    """Reports nothing."""

    def epoch(self, number: int, loss: float) -> None:
        """An epoch has ended."""

    def validation(self, score: float) -> None:
        """The samples set aside have been scored."""

    def message(self, text: str) -> None:
        """Something that the user should know."""

    def close(self) -> None:
        """Training has ended."""


class Lines(Silent):
    """Prints the lines that scikit-learn prints."""

    def epoch(self, number: int, loss: float) -> None:
        print(f"Iteration {number}, loss = {loss:.8f}")

    def validation(self, score: float) -> None:
        print(f"Validation score: {score:f}")

    def message(self, text: str) -> None:
        print(text)


class Bar(Silent):
    """A progress bar of tqdm's over the epochs."""

    def __init__(self, tqdm: Any, epochs: int) -> None:
        self._bar = tqdm(total=epochs, unit="epoch")
        self._shown: dict[str, str] = {}

    def epoch(self, number: int, loss: float) -> None:
        self._show(loss=f"{loss:.6f}")
        self._bar.update(number - self._bar.n)

    def validation(self, score: float) -> None:
        self._show(validation=f"{score:.4f}")

    def message(self, text: str) -> None:
        self._bar.write(text)

    def close(self) -> None:
        self._bar.close()

    def _show(self, **values: str) -> None:
        self._shown.update(values)
        self._bar.set_postfix(self._shown, refresh=False)


def progress(verbose: bool | int, epochs: int) -> Silent:
    """Reports on training of so many epochs at most."""
    if not verbose:
        return Silent()
    if verbose is not True and verbose >= 2:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return Lines()
        return Bar(tqdm, epochs)
    return Lines()
