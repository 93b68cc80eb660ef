"""Machine-learned potentials as ASE calculators, and committees of them."""
