"""The known click model behind the synthetic log: a logit made of parts of order 1 to 4, each of a chosen spread.

    logit      = bias + Σ over orders o of  strength_o · part_o / std(part_o)
    part_1     = Σ over fields f of  w_f[level_f]
    part_o     = Σ over groups g of o fields of  Σ_r  Π over f in g of  v_gf[level_f, r]        (r: latent factors)

Every w and v is centred over the rows, so that a group adds next to nothing to its sub-groups: what order 3 explains
is hidden from a model of order 2. Each group spans a user's side and an item's side: attributes are functions of the
id they hang on, and a group within one side would be a first-order effect of that id. Cost: rows x factors x groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from training.metrics import sigmoid

Levels = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float64]
Group = tuple[str, ...]

FACTORS = 3
BISECTIONS = 40
TINY = 1e-9

GROUPS: Mapping[int, Sequence[Group]] = {
    2: (
        ("age", "category"),
        ("gender", "category"),
        ("country", "brand"),
        ("device", "price"),
        ("hour", "category"),
        ("user_id", "category"),
        ("days_since_signup", "days_since_listed"),
    ),
    3: (
        ("age", "gender", "category"),
        ("device", "hour", "category"),
        ("country", "device", "price"),
        ("age", "days_since_signup", "days_since_listed"),
    ),
    4: (
        ("age", "gender", "device", "category"),
        ("country", "device", "category", "price"),
        ("age", "hour", "device", "days_since_listed"),
    ),
}
"""Which fields interact, by order."""


def logit_parts(
    levels: Mapping[str, Levels],
    weight_of: Mapping[str, float],
    random: np.random.Generator,
) -> dict[int, Logits]:
    """Order → that order's part of the logit [N], mean 0 and standard deviation 1 over the rows.

    A part that does not vary, in a log of one item say, is 0.

    Args:
        levels: per field, the level [N] of each row: 0-based, dense.
        weight_of: per field, the spread of its first-order weights and latent factors; 1 where absent.
        random: draws weights and factors; consumed in a fixed order.
    """
    first_N = sum(_centred(level_N, 1, random)[:, 0] * weight_of.get(name, 1.0) for name, level_N in levels.items())
    parts = {1: np.asarray(first_N)}
    for order, groups in GROUPS.items():
        parts[order] = np.asarray(sum(_product(group, levels, weight_of, random) for group in groups))
    return {order: (part_N - part_N.mean()) / max(part_N.std(), TINY) for order, part_N in parts.items()}


def bias_for(logits_N: Logits, click_rate: float) -> float:
    """The bias b at which the mean of sigmoid(logits + b) is `click_rate`, by bisection."""
    low, high = -50.0, 50.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if sigmoid(logits_N + middle).mean() < click_rate else (low, middle)
    return (low + high) / 2


def _product(
    group: Group, levels: Mapping[str, Levels], weight_of: Mapping[str, float], random: np.random.Generator
) -> Logits:
    """Σ_r Π_f v_gf[level_f, r] of one group [N]."""
    product_NR = np.ones((len(levels[group[0]]), FACTORS))
    for name in group:
        product_NR *= _centred(levels[name], FACTORS, random) * weight_of.get(name, 1.0)
    return np.asarray(product_NR.sum(axis=1))


def _centred(level_N: Levels, factors: int, random: np.random.Generator) -> Logits:
    """A normal draw per level and factor, looked up per row [N, factors], with mean 0 over the rows."""
    counts_V = np.bincount(level_N)
    drawn_VR = random.standard_normal((len(counts_V), factors))
    drawn_VR -= counts_V @ drawn_VR / counts_V.sum()
    return np.asarray(drawn_VR[level_N])
