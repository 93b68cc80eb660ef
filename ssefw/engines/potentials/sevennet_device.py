"""SevenNet's own network on a device of torch, with the contract of ssefw's.

On processors the compiled kernels of `ssefw.engines.potentials.convolution` are some fifty times
faster than this; graphics cards have this instead. Replicas are one graph of parts that do not see
each other, so that a step of all of them is one call of the device.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ssefw.engines.potentials.device import check_device
from ssefw.engines.potentials.sevennet_convert import CLOSEST, modality_index, read_checkpoint

__all__ = ["DeviceNetwork"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class DeviceNetwork:
    """A SevenNet as its own package builds it, on a device.

    Parameters
    ----------
    path
        Checkpoint.
    modality
        For a model that was trained on several levels of theory: which one.
    device
        What torch calls it.
    """

    def __init__(self, path: Path, *, modality: str | None, device: str) -> None:
        check_device(device)
        import torch  # noqa: PLC0415  seconds to import, and kernels on the processor need it never

        model, config = read_checkpoint(path)
        modality_index(path, config, modality)
        self.cutoff = float(config["cutoff"])
        types = config["_type_map"]
        self.species: IntArray = np.array(sorted(types, key=types.__getitem__))
        self.closest = CLOSEST
        self._modality = modality
        self._device = torch.device(device)
        # Forces come from the derivative by edges, which is taken here.
        model.delete_module_by_key("force_output")
        model.set_is_batch_data(False)
        self._model = model.to(self._device).eval()

    def __call__(
        self,
        species: IntArray,
        starts: IntArray,
        senders: IntArray,
        vectors: FloatArray,
        lengths: FloatArray,  # noqa: ARG002  the device has them from the vectors
        **_: Any,
    ) -> tuple[FloatArray, FloatArray]:
        """Return site energies and their derivative by edge vectors, in eV and eV/A.

        Parameters
        ----------
        species, starts, senders, vectors, lengths
            As for `ssefw.engines.potentials.sevennet_network.Network`.
        """
        import torch  # noqa: PLC0415  see above
        from sevenn.atom_graph_data import AtomGraphData  # noqa: PLC0415

        n = len(species)
        receivers = np.repeat(np.arange(n), np.diff(starts))
        numbers = torch.from_numpy(self.species[species]).to(self._device)
        # Its edges point from the sender to the receiver.
        edges = torch.from_numpy(-vectors).to(self._device, torch.float32).requires_grad_()
        data = AtomGraphData(
            x=numbers,
            atomic_numbers=numbers,
            edge_index=torch.from_numpy(np.stack([senders, receivers])).to(self._device),
            edge_vec=edges,
            num_atoms=torch.tensor(n, device=self._device),
            cell_volume=torch.tensor(1.0, device=self._device),
        )
        if self._modality is not None:
            data["data_modality"] = self._modality
        sites = self._model(data)["atomic_energy"].reshape(-1)
        by_vector = np.zeros((len(senders), 3))
        if len(senders):
            (gradient,) = torch.autograd.grad([sites.sum()], [edges])
            by_vector -= gradient.cpu().numpy()
        return sites.detach().cpu().numpy().astype(np.float64), by_vector
