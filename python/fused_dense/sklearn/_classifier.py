"""The classifier."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d, compute_class_weight, compute_sample_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from ._base import BaseMlp, Targets, assign
from ._course import Training
from ._data import single_column
from ._native_network import LOGISTIC, SOFTMAX
from ._parameters import ATTRIBUTES, CONSTRAINTS, DESCRIPTIONS, DIFFERENCES
from ._scores import share_of

# Types of labels whose order and equality need no care.
_PLAIN_KINDS = "iuU"


class MLPClassifier(ClassifierMixin, BaseMlp):
    __doc__ = f"""Multi-layer perceptron that classifies: scikit-learn's estimator on the kernels of fused-dense.

    It minimises the log-loss: of classes that exclude each other, of two classes, or of several labels for a sample.

    Parameters
    ----------{DESCRIPTIONS}
    class_weight : dict, list of dict, 'balanced' or None, default=None
        Weights of the classes, which multiply those of the samples; for several labels a list with a dict for each.
        'balanced': in inverse proportion to their numbers.

    Attributes
    ----------
    classes_ : ndarray or list of ndarray
        Labels of the classes.{ATTRIBUTES.format(score="Accuracy")}

    Notes
    -----{DIFFERENCES}

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fused_dense.sklearn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = MLPClassifier(learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> classifier.score(X, y) > 0.95
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **CONSTRAINTS,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }

    _y_numeric = False
    loss = "log_loss"

    _label_binarizer: LabelBinarizer
    classes_: NDArray[Any]

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        n_jobs: int | None = None,
        class_weight: Any = None,
    ) -> None:
        assign(self, locals())

    def _targets(self, y: Any, *, is_incremental: bool) -> Targets:
        if single_column(y):
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or is_incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            self._check_classes(unique_labels(y))
        kind = self._label_binarizer.y_type_
        if y.ndim == 2 or kind.startswith("multilabel"):
            indicators = self._label_binarizer.transform(y).astype(np.float32)
            return Targets(indicators, indicators.shape[1], LOGISTIC)
        codes = np.searchsorted(self.classes_, y).astype(np.int64, copy=False)
        if kind == "multiclass":
            return Targets(codes, len(self.classes_), SOFTMAX)
        return Targets(codes.astype(np.float32)[:, None], 1, LOGISTIC, strata=codes.astype(bool))

    def _check_classes(self, found: NDArray[Any]) -> None:
        if self.warm_start:
            if set(found) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit."
                    f" Previously got {self.classes_}, `y` has {found}"
                )
        elif len(np.setdiff1d(found, self.classes_, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`."
                f" `self.classes_` has {self.classes_}. 'y' has {found}."
            )

    def _class_weights(self, y: Any, targets: Targets, *, is_incremental: bool) -> NDArray[Any] | None:
        if self.class_weight is None:
            return None
        if is_incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit: the numbers of the classes in all the data"
                " are not known. Pass the weights that compute_class_weight('balanced', classes=classes, y=y) returns"
                " as a dict."
            )
        if targets.outputs > 1 and targets.head is LOGISTIC:
            return compute_sample_weight(self.class_weight, y)
        codes = targets.values.ravel().astype(np.intp)
        weights = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_[codes])
        return weights[codes]

    def _score_of(self, aside: Training) -> float:
        outputs = self._outputs_of_rows(aside)
        if self.out_activation_ == "softmax":
            hits = outputs.argmax(axis=1) == aside.targets
        else:
            hits = ((outputs > 0.5) == aside.targets).all(axis=1)
        return share_of(hits, aside.weights)

    def predict(self, X: Any) -> NDArray[Any]:
        """Class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_classes)
            The class of each sample; of several labels, an indicator for each.
        """
        outputs = self._outputs(X)
        if self.out_activation_ == "softmax":
            return self.classes_.take(outputs.argmax(axis=1))
        if self._label_binarizer.y_type_ == "binary":
            return self.classes_.take(outputs[:, 0] > 0.5, mode="clip")
        return self._label_binarizer.inverse_transform(outputs)

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; in float32 for float32 inputs, else in float64.
        """
        outputs = self._outputs(X)
        if outputs.shape[1] != 1:
            return outputs
        both = np.empty((len(outputs), 2), dtype=outputs.dtype)
        both[:, 1:] = outputs
        np.subtract(1, outputs, out=both[:, :1])
        return both

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        p = self.predict_proba(X)
        return np.log(p, out=p)

    @available_if(BaseMlp._check_solver)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """Train for one epoch on this data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        classes : array-like of shape (n_classes,), default=None
            All classes that any call will have. The first call needs them.

        Returns
        -------
        self : object
            The trained estimator.
        """
        is_plain = sample_weight is None and classes is None
        if not (is_plain and self._quick_partial_fit(X, y)):
            self._slow_partial_fit(X, y, sample_weight, classes)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def _slow_partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any) -> None:
        if _check_partial_fit_first_call(self, classes):
            known = y if type_of_target(y).startswith("multilabel") else classes
            self._label_binarizer = LabelBinarizer().fit(known)
        self._fit(X, y, sample_weight, is_incremental=True)

    def _is_quick(self) -> bool:
        return self.class_weight is None and self._label_binarizer.y_type_ in ("binary", "multiclass")

    def _quick_targets(self, y: Any) -> NDArray[Any] | None:
        classes = self.classes_
        if type(y) is not np.ndarray or y.ndim != 1 or y.dtype != classes.dtype or y.dtype.kind not in _PLAIN_KINDS:
            return None
        codes = classes.searchsorted(y)
        # Labels beyond the last class have no code.
        if (classes.take(codes, mode="clip") != y).any():
            return None
        return codes if self.out_activation_ == "softmax" else codes.astype(np.float32)[:, None]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
