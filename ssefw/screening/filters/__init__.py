"""What may pass: filters, what they ask of phases and gaps, and cascades of them."""
