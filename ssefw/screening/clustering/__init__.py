"""The second screening system: descriptors of simplified structures, clustered, then labeled."""

from ssefw.screening.clustering.ward import Tree, build_tree, cut

__all__ = ["Tree", "build_tree", "cut"]
