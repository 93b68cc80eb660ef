"""Five rock salts of lithium as POSCARs; lattice constants in angstrom."""

ROCK_SALTS = {"LiF": 4.026, "LiCl": 5.14, "LiBr": 5.50, "LiI": 6.0, "LiH": 4.08}


def poscar(formula, length):
    anion = formula.removeprefix("Li")
    return (
        f"{formula}\n1.0\n0 {length / 2} {length / 2}\n{length / 2} 0 {length / 2}\n"
        f"{length / 2} {length / 2} 0\nLi {anion}\n1 1\ndirect\n0 0 0\n0.5 0.5 0.5\n"
    )
