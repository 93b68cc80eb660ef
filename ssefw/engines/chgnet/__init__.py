"""The path by which campaign files and stored records name the calculator for CHGNet."""

from ssefw.engines.potentials.chgnet import FastCHGNet

__all__ = ["FastCHGNet"]
