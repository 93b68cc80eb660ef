"""How sure a prediction must be to count as a label: one threshold a class, moving with training.

FixMatch asks for one confidence tau. FlexMatch (Zhang et al. 2021,
https://arxiv.org/abs/2110.08263) asks less of a class that is learned slowly: T(c) = M(beta_c) tau,
with beta_c the number of unlabeled patterns confidently put into class c over the largest such
number. XRDMatch's paper takes M(beta) = beta, the authors' program beta / (2 - beta). With warm-up,
which the program has and the paper does not mention, the number of patterns not yet put anywhere
counts among those numbers, so that all thresholds start near zero and rise with training.
"""

import torch
from torch import Tensor

__all__ = ["class_thresholds"]


def class_thresholds(
    chosen: Tensor, *, tau: float, convex: bool, warm_up: bool, n_classes: int = 2
) -> Tensor:
    """Return the confidence that each class asks for, shape (n_classes,).

    Parameters
    ----------
    chosen
        Class that each unlabeled pattern was last put into with a confidence above tau; -1 for
        none yet. Shape (n_unlabeled,).
    convex
        M(beta) = beta / (2 - beta) in place of beta.
    """
    counts = torch.bincount(chosen + 1, minlength=n_classes + 1)
    learned = counts[1:]
    most = counts.max() if warm_up else learned.max()
    beta = learned / most.clamp(min=1)
    if convex:
        beta = beta / (2 - beta)
    return beta * tau
