"""The third system: networks on sets of transfer-learned site vectors (McHaffie et al. 2025)."""
