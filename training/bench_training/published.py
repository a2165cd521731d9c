"""The reference's figures: rows/s of the best of FuxiCTR, RecBole and DeepCTR-Torch, and of its own plain loop.

Measured on another machine (two cores with AVX-512 and bfloat16 instructions, 24 GB, torch 2.13), medians of three, in
float32, with two threads. Ratios to them hang on both machines; those to the baseline measured here do not.
"""

from __future__ import annotations

BEST_LIBRARY: dict[tuple[str, str, int], int] = {
    ("deepfm", "ml", 1024): 59_393,
    ("deepfm", "ml", 4096): 63_051,
    ("dcnv2", "ml", 1024): 50_240,
    ("dcnv2", "ml", 4096): 50_208,
    ("autoint_plus", "ml", 4096): 33_745,
    ("fibinet", "ml", 4096): 31_718,
    ("xdeepfm", "ml", 1024): 1_298,
    ("crossnet", "ml", 4096): 199_000,
    ("dagfm_outer", "ml", 4096): 137_000,
    ("deepfm", "criteo", 1024): 9_465,
    ("deepfm", "criteo", 4096): 18_577,
    ("dcnv2", "criteo", 1024): 6_965,
    ("dcnv2", "criteo", 4096): 11_294,
    ("autoint_plus", "criteo", 1024): 6_200,
    ("autoint_plus", "criteo", 4096): 6_477,
    ("fibinet", "criteo", 1024): 1_230,
    ("xdeepfm", "criteo", 1024): 195,
    ("crossnet", "criteo", 1024): 6_200,
    ("dagfm_outer", "criteo", 4096): 12_700,
}
"""(model, shape, batch) → rows/s. The last of each shape is RecBole's whole distillation step."""
