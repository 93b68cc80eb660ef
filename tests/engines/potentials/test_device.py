"""SevenNet's own network on a device of torch, for which the processor stands in."""

import numpy as np
import pytest
import torch
from ase import Atoms

from ssefw.engines.ase import AseEngine
from ssefw.engines.base import settings_hash
from ssefw.engines.potentials.chgnet import FastCHGNet
from ssefw.engines.potentials.sevennet import FastSevenNet
from ssefw.errors import EngineError
from tests.engines.potentials.structures import antifluorite, layered, shaken

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees a GPU here")
with_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")


def assert_alike(ours, device, atoms, positions):
    kept, found = (
        network.evaluate(positions, atoms.numbers, atoms.cell.array, stress=True)
        for network in (ours, device)
    )
    assert found[0] == pytest.approx(kept[0], abs=1e-6 * len(atoms))
    assert found[1] == pytest.approx(kept[1], abs=1e-4)
    assert found[2] == pytest.approx(kept[2], abs=3e-5)


def test_on_a_device_the_numbers_are_those_of_the_kernels():
    options = {"model": "mf-0", "modality": "R2SCAN"}
    atoms = shaken(layered(), np.random.default_rng(1))
    ours, device = FastSevenNet(**options), FastSevenNet(**options, device="cpu")
    assert_alike(ours, device, atoms, atoms.positions)


def test_on_a_device_replicas_are_one_pass():
    atoms = antifluorite()
    positions = atoms.positions + 0.1 * np.random.default_rng(3).normal(size=(3, 12, 3))
    assert_alike(FastSevenNet(model="0"), FastSevenNet(model="0", device="cpu"), atoms, positions)


def test_on_a_device_a_lone_atom_has_an_energy_and_what_has_no_meaning_is_refused():
    device = FastSevenNet(model="0", device="cpu")
    alone = Atoms("Li", [(0, 0, 0)], cell=[20] * 3, pbc=True, calculator=device)
    assert np.isfinite(alone.get_potential_energy())
    assert not alone.get_forces().any()
    for symbols, message in (("Og", "does not know"), ("Li2", "0.05 A apart")):
        distant = [(0.05 * k, 0, 0) for k in range(len(Atoms(symbols)))]
        atoms = Atoms(symbols, distant, cell=[9] * 3, pbc=True, calculator=device)
        with pytest.raises(EngineError, match=message):
            atoms.get_forces()


@without_gpu
@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda", "'cuda' is not there: torch sees no GPU on this machine"),
        ("cuda:1", "'cuda:1' is not there"),
        ("gpu", "'gpu' is no device of torch"),
        ("meta", "'meta' is not supported"),
    ],
)
@pytest.mark.parametrize("calculator", [FastSevenNet, FastCHGNet])
def test_a_device_that_is_not_there_is_refused_in_one_line(calculator, device, message):
    with pytest.raises(EngineError, match=message) as caught:
        calculator(device=device)
    assert "\n" not in str(caught.value)


@without_gpu
def test_it_is_refused_before_a_campaign_starts(ssefw, tmp_path):
    (tmp_path / "c.yaml").write_text(
        "campaign: c\n"
        "engine: {potential: sevennet-0, options: {device: cuda}}\n"
        "pool: {structures: [{name: LiF, poscar: \"LiF\\n4.0\\n0 0.5 0.5\\n0.5 0 0.5\\n0.5 0.5 0\\n"
        "Li F\\n1 1\\ndirect\\n0 0 0\\n0.5 0.5 0.5\\n\"}]}\n"
        "md: {temperatures: [600], length: 5}\n"
    )  # fmt: skip
    done = ssefw("run", "c.yaml", "--store", "st", check=False)
    assert done.returncode == 1
    assert "torch sees no GPU on this machine" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "st").exists()


def test_results_of_a_device_are_not_continued_with_those_of_the_processor():
    engine, device = AseEngine.of("sevennet-0"), AseEngine.of("sevennet-0", device="cuda")
    assert settings_hash(engine) != settings_hash(device)
    assert device.nominal_speed is None
    assert "torch" in device.versions()


def test_checks_and_features_are_of_the_processor():
    with pytest.raises(EngineError, match="leave out device"):
        FastSevenNet(model="0", device="cpu", precision="double")
    atoms = antifluorite()
    with pytest.raises(EngineError, match="leave out device"):
        FastSevenNet(model="0", device="cpu").site_features(
            atoms.positions, atoms.numbers, atoms.cell.array, n_layers=1
        )


@pytest.mark.gpu
@with_gpu
def test_a_graphics_card_gives_the_numbers_of_the_kernels():
    atoms = antifluorite()
    positions = atoms.positions + 0.1 * np.random.default_rng(3).normal(size=(4, 12, 3))
    assert_alike(FastSevenNet(), FastSevenNet(device="cuda"), atoms, positions)
