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

ECKD_TABLE_2: Mapping[str, Scores] = {
    "DeepFM → DNN, hint + co-train": Scores(0.7791 - 0.7740, 0.3805 - 0.3825),
    "DeepFM → DNN, hint + pre-train": Scores(0.7769 - 0.7740, 0.3822 - 0.3825),
    "DeepFM → DNN, soft label + co-train": Scores(0.7773 - 0.7740, 0.3807 - 0.3825),
    "DeepFM → DNN, soft label + pre-train": Scores(0.7802 - 0.7740, 0.3800 - 0.3825),
    "DCN → DNN, hint + co-train": Scores(0.7778 - 0.7740, 0.3808 - 0.3825),
    "DCN → DNN, hint + pre-train": Scores(0.7784 - 0.7740, 0.3805 - 0.3825),
    "DCN → DNN, soft label + co-train": Scores(0.7782 - 0.7740, 0.3812 - 0.3825),
    "DCN → DNN, soft label + pre-train": Scores(0.7794 - 0.7740, 0.3800 - 0.3825),
    "xDeepFM → DNN, hint + co-train": Scores(0.7795 - 0.7740, 0.3802 - 0.3825),
    "xDeepFM → DNN, hint + pre-train": Scores(0.7775 - 0.7740, 0.3809 - 0.3825),
    "xDeepFM → DNN, soft label + co-train": Scores(0.7762 - 0.7740, 0.3815 - 0.3825),
    "xDeepFM → DNN, soft label + pre-train": Scores(0.7797 - 0.7740, 0.3797 - 0.3825),
}
"""ECKD, Table 2, Avazu: student less the DNN alone."""

ECKD_TABLE_3: Mapping[str, Scores] = {
    "DNN → DNN": Scores(0.7825 - 0.7740, 0.3780 - 0.3825),
    "DNN → DeepFM": Scores(0.7825 - 0.7740, 0.3781 - 0.3825),
    "DNN → DCN": Scores(0.7848 - 0.7740, 0.3768 - 0.3825),
    "DNN → xDeepFM": Scores(0.7825 - 0.7740, 0.3780 - 0.3825),
    "DeepFM → DNN": Scores(0.7818 - 0.7763, 0.3786 - 0.3814),
    "DeepFM → DeepFM": Scores(0.7837 - 0.7763, 0.3777 - 0.3814),
    "DeepFM → DCN": Scores(0.7850 - 0.7763, 0.3768 - 0.3814),
    "DeepFM → xDeepFM": Scores(0.7831 - 0.7763, 0.3777 - 0.3814),
    "DCN → DNN": Scores(0.7825 - 0.7774, 0.3779 - 0.3811),
    "DCN → DeepFM": Scores(0.7834 - 0.7774, 0.3778 - 0.3811),
    "DCN → DCN": Scores(0.7854 - 0.7774, 0.3771 - 0.3811),
    "DCN → xDeepFM": Scores(0.7829 - 0.7774, 0.3777 - 0.3811),
    "xDeepFM → DNN": Scores(0.7820 - 0.7770, 0.3782 - 0.3811),
    "xDeepFM → DeepFM": Scores(0.7837 - 0.7770, 0.3779 - 0.3811),
    "xDeepFM → DCN": Scores(0.7848 - 0.7770, 0.3771 - 0.3811),
    "xDeepFM → xDeepFM": Scores(0.7823 - 0.7770, 0.3785 - 0.3811),
    "3T → DNN": Scores(0.7865 - 0.7804, 0.3757 - 0.3788),
    "3T → DeepFM": Scores(0.7860 - 0.7804, 0.3758 - 0.3788),
    "3T → DCN": Scores(0.7871 - 0.7804, 0.3753 - 0.3788),
    "3T → xDeepFM": Scores(0.7853 - 0.7804, 0.3761 - 0.3788),
}
"""ECKD, Table 3, Avazu: student less its teacher."""

ECKD_TABLE_4: Mapping[str, Scores] = {
    "1T → DNN": Scores(0.7825 - 0.7774, 0.3779 - 0.3811),
    "3T(M)": Scores(0.7804 - 0.7774, 0.3788 - 0.3811),
    "3T(M) → DNN": Scores(0.7865 - 0.7825, 0.3757 - 0.3779),
    "3T(D)": Scores(0.7871 - 0.7774, 0.3754 - 0.3811),
    "3T(D) → DNN": Scores(0.7879 - 0.7825, 0.3751 - 0.3779),
    "6T(M)": Scores(0.7816 - 0.7774, 0.3784 - 0.3811),
    "6T(M) → DNN": Scores(0.7872 - 0.7825, 0.3751 - 0.3779),
    "6T(D)": Scores(0.7881 - 0.7774, 0.3746 - 0.3811),
    "6T(D) → DNN": Scores(0.7885 - 0.7825, 0.3745 - 0.3779),
}
"""ECKD, Table 4, Avazu: an ensemble less one teacher, its student less the student of one."""

ECKD_TABLE_6: Mapping[str, Scores] = {
    "DeepFM → DNN": Scores(0.7757 - 0.7763, 0.3819 - 0.3814),
    "DeepFM → DNN+": Scores(0.7818 - 0.7763, 0.3786 - 0.3814),
    "DCN → DNN": Scores(0.7824 - 0.7774, 0.3786 - 0.3811),
    "DCN → DNN+": Scores(0.7825 - 0.7774, 0.3779 - 0.3811),
    "xDeepFM → DNN": Scores(0.7795 - 0.7770, 0.3800 - 0.3811),
    "xDeepFM → DNN+": Scores(0.7820 - 0.7770, 0.3782 - 0.3811),
}
"""ECKD, Table 6, Avazu: student less its teacher."""
