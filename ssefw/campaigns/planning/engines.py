"""From the block of an engine in a campaign file to the engine."""

from ssefw.campaigns.file import CampaignSpec, EngineSpec
from ssefw.engines import Engine
from ssefw.engines.ase import AseEngine
from ssefw.engines.potentials.names import POTENTIALS
from ssefw.errors import ConfigurationError
from ssefw.mistakes import check_settings

__all__ = ["engine_of", "make_engine"]


def make_engine(spec: CampaignSpec) -> Engine:
    """Return the engine a campaign asks for."""
    teacher = spec.learn.teacher if spec.learn is not None else None
    return engine_of(teacher or spec.engine)


def engine_of(engine: EngineSpec) -> Engine:
    """Return the engine of a block of a campaign file."""
    if engine.code == "vasp":
        # atomate2 takes seconds to import, and only VASP needs it.
        from ssefw.engines.vasp import VaspEngine  # noqa: PLC0415

        return VaspEngine(
            preset=engine.preset or "xrdmatch",
            incar=engine.incar,
            kpoints=engine.kpoints,
            potcar=engine.potcar,
            potcar_spec=engine.potcar_spec,
        )
    if engine.code == "espresso":
        from ssefw.engines.espresso import EspressoEngine  # noqa: PLC0415  custodian is slow

        options = check_settings(EspressoEngine, engine.options, of="The engine espresso")
        return EspressoEngine(**{"preset": engine.preset, **options})
    if engine.code == "socket":
        from ssefw.engines.ipi import SocketEngine  # noqa: PLC0415

        return SocketEngine(**check_settings(SocketEngine, engine.options, of="The engine socket"))
    if engine.potential is not None and engine.potential in POTENTIALS:
        return AseEngine.of(engine.potential, **engine.options)
    if engine.potential is not None:
        if engine.options:
            raise ConfigurationError(
                f"engine.options are not for {engine.potential!r}, which was trained. Remove them."
            )
        return _trained(engine.potential)
    return AseEngine(calculator=engine.calculator or "", options=engine.options)


def _trained(name: str) -> Engine:
    """Return the engine of a student, or of a universal potential that was tuned."""
    # numba takes seconds to import
    from ssefw.engines.potentials.tuned import TunedPotential  # noqa: PLC0415
    from ssefw.engines.students import StudentEngine, find_potential  # noqa: PLC0415
    from ssefw.engines.tuning import TunedEngine  # noqa: PLC0415

    model = find_potential(name, add=True)
    if isinstance(model, TunedPotential):
        return TunedEngine(potential=model.digest)
    return StudentEngine(potential=model.digest)
