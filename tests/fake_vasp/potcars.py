"""POTCARs of the right form with nothing inside, for tests that must not need VASP's own."""

from physics import MASSES, VALENCE

TEMPLATE = """\
  PAW_PBE {symbol} 01Jan2000
  {zval:.14f}
 parameters from PSCTR are:
   VRHFIN ={element}: made up
   LEXCH  = PE
   EATOM  =    10.0000 eV,    0.7350 Ry

   TITEL  = PAW_PBE {symbol} 01Jan2000
   LULTRA =        F    use ultrasoft PP ?
   IUNSCR =        0    unscreen: 0-lin 1-nonlin 2-no
   RPACOR =     .000    partial core radius
   POMASS =  {mass:8.3f}; ZVAL   =  {zval:7.3f}    mass and valenz
   RCORE  =    1.500    outmost cutoff radius
   RWIGS  =    1.500; RWIGS  =     .794    wigner-seitz radius (au A)
   ENMAX  =  {enmax:.3f}; ENMIN  =  {enmin:.3f} eV
   EAUG   =  600.000

  END of PSCTR-controll parameters
 local part
   0.00000000
 End of Dataset
"""


def potcar(symbol):
    """Return the text of a made-up POTCAR; Li_sv has the cutoff of a semicore potential."""
    element = symbol.split("_")[0]
    enmax = 499.034 if symbol.endswith("_sv") else 300.0
    return TEMPLATE.format(
        symbol=symbol,
        element=element,
        zval=float(VALENCE[element]),
        mass=MASSES[element],
        enmax=enmax,
        enmin=0.75 * enmax,
    )


def write_potcars(folder, symbols, functionals=("POT_GGA_PAW_PBE_54", "POT_GGA_PAW_PBE")):
    """Fill a folder as pymatgen wants its POTCARs."""
    for functional in functionals:
        (folder / functional).mkdir(parents=True, exist_ok=True)
        for symbol in symbols:
            (folder / functional / f"POTCAR.{symbol}").write_text(potcar(symbol))
