"""Potential cards: how far a potential is from measured volumes, forces and barriers of DFT."""

from ssefw.engines.cards.measuring import measured_card, shipped_card

__all__ = ["measured_card", "shipped_card"]
