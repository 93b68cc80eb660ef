"""What Quantum ESPRESSO needs of a machine: its programs, pseudopotentials, ranks that divide."""

from collections.abc import Collection, Iterator, Mapping
from functools import partial

from ssefw.engines.espresso.command import ParallelLayout
from ssefw.engines.espresso.pseudopotentials import find_pseudopotentials
from ssefw.engines.needs import complaint_of, missing_program, words_of
from ssefw.engines.ranks import rank_count
from ssefw.settings import load_settings

__all__ = ["missing_here"]


def missing_here(
    elements: Collection[str],
    *,
    family: str,
    files: Mapping[str, str],
    layout: Mapping[str, int],
    has_bands: bool,
) -> Iterator[str]:
    """Yield what this machine lacks, each with its remedy.

    Parameters
    ----------
    family, files
        As for `find_pseudopotentials`.
    layout
        Arguments of `ParallelLayout`.
    has_bands
        Whether neb.x is needed.
    """
    site = load_settings().settings
    programs = {"pw_cmd": site.pw_cmd} | ({"neb_cmd": site.neb_cmd} if has_bands else {})
    for setting, command in programs.items():
        yield from missing_program(command, setting=setting, code="Quantum ESPRESSO")
        wanted = ParallelLayout(
            image_groups=layout.get("image_groups", 1) if setting == "neb_cmd" else 1,
            pools=layout.get("pools", 1),
        )
        # How many images and k-points there will be is not known yet: enough.
        enough = {"n_images": wanted.image_groups, "n_kpoints": wanted.pools}
        yield from complaint_of(partial(wanted.check, rank_count(words_of(command)), **enough))
    yield from complaint_of(
        lambda: find_pseudopotentials(site.pseudo_dir, elements, family=family, files=files)
    )
