"""Dense networks trained by fused CPU kernels.

``Network`` is a chain of dense layers over numpy's arrays. ``fused_dense.sklearn`` has estimators with the interface of
scikit-learn's ``MLPClassifier`` and ``MLPRegressor``; ``fused_dense.torch`` a whole network as one PyTorch module.
"""

from ._native import Adam, DivergenceError, Network, Sgd, __version__
from ._records import Epoch, Evaluation, History

__all__ = ["Adam", "DivergenceError", "Epoch", "Evaluation", "History", "Network", "Sgd", "__version__"]
