"""What the papers print, where it can be laid beside our rows: test AUC and log loss.

MovieLens-1M is in KD-DAGFM's Table 3 alone (WSDM 2023). Its other tables and all of ECKD's (CIKM 2020) are on Criteo
and Avazu: what carries over to other data is the order of the rows and the sign of their differences, not the digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Scores:
    """One printed pair."""

    auc: float
    log_loss: float


TABLE_3: Mapping[str, Scores] = {
    "FmFM": Scores(0.8864, 0.3295),
    "FwFM": Scores(0.8815, 0.3351),
    "xDeepFM": Scores(0.8913, 0.3244),
    "DCNV2": Scores(0.8946, 0.3229),
    "FiBiNet": Scores(0.8860, 0.3291),
    "AutoInt+": Scores(0.8937, 0.3288),
    "FiGNN": Scores(0.8939, 0.3232),
    "GraphFM": Scores(0.8890, 0.3311),
    "ECKD": Scores(0.8951, 0.3173),
    "CIN (teacher)": Scores(0.8850, 0.3320),
    "DAGFM-inner (student)": Scores(0.8839, 0.3339),
    "KD-DAGFM-inner": Scores(0.8849, 0.3320),
    "KD-DAGFM_FT-inner": Scores(0.8880, 0.3304),
    "CrossNet (teacher)": Scores(0.8907, 0.3474),
    "DAGFM-outer (student)": Scores(0.8895, 0.3361),
    "KD-DAGFM-outer": Scores(0.8904, 0.3476),
    "KD-DAGFM_FT-outer": Scores(0.8976, 0.3189),
}
"""KD-DAGFM, Table 3, column MovieLens-1M, by row."""

TABLE_2_GAPS: Mapping[str, Scores] = {
    "CIN → FwFM": Scores(0.8008 - 0.8109, 0.4511 - 0.4424),
    "CIN → FmFM": Scores(0.8091 - 0.8109, 0.4445 - 0.4424),
    "CIN → Tiny MLP": Scores(0.8098 - 0.8109, 0.4506 - 0.4424),
    "CIN → DAGFM-inner": Scores(0.8109 - 0.8109, 0.4425 - 0.4424),
    "CrossNet → FwFM": Scores(0.7945 - 0.8123, 0.4559 - 0.4398),
    "CrossNet → FmFM": Scores(0.8108 - 0.8123, 0.4411 - 0.4398),
    "CrossNet → Tiny MLP": Scores(0.8102 - 0.8123, 0.4516 - 0.4398),
    "CrossNet → DAGFM-outer": Scores(0.8122 - 0.8123, 0.4397 - 0.4398),
}
"""KD-DAGFM, Table 2, Criteo: student less teacher."""

TABLE_5_GAPS: Mapping[str, Scores] = {
    "xDeepFM → DAGFM+": Scores(0.8122 - 0.8122, 0.4408 - 0.4407),
    "xDeepFM → DAGFM+, fine-tuned": Scores(0.8132 - 0.8122, 0.4388 - 0.4407),
    "DCNV2 → DAGFM+": Scores(0.8126 - 0.8127, 0.4396 - 0.4394),
    "DCNV2 → DAGFM+, fine-tuned": Scores(0.8134 - 0.8127, 0.4387 - 0.4394),
    "AutoInt+ → DAGFM+": Scores(0.8126 - 0.8126, 0.4396 - 0.4396),
    "AutoInt+ → DAGFM+, fine-tuned": Scores(0.8137 - 0.8126, 0.4385 - 0.4396),
    "FiBiNet → DAGFM+": Scores(0.8125 - 0.8126, 0.4418 - 0.4415),
    "FiBiNet → DAGFM+, fine-tuned": Scores(0.8131 - 0.8126, 0.4405 - 0.4415),
}
"""KD-DAGFM, Table 5, Criteo: student less teacher."""
