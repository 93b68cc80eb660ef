"""The fourth system: semi-supervised learning on powder diffraction patterns (XRDMatch)."""
