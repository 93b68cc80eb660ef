"""The commands of collections: results, labels, pools."""
