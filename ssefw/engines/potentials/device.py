"""Where torch computes: whether this machine has it."""

from ssefw.errors import EngineError

__all__ = ["check_device"]


def check_device(device: str) -> None:
    """Refuse a device that torch does not find on this machine.

    Raises
    ------
    EngineError
        If it is none, or is not there.
    """
    import torch  # noqa: PLC0415  seconds to import, and kernels on the processor need it never

    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise EngineError(f"{device!r} is no device of torch; write cuda, or cuda:1.") from error
    if wanted.type == "cpu":
        return
    if wanted.type != "cuda":
        raise EngineError(f"The device {device!r} is not supported; write cuda, or cuda:1.")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (wanted.index or 0) >= found:
        seen = f"sees {found} GPUs" if found else "sees no GPU"
        raise EngineError(
            f"The device {device!r} is not there: torch {seen} on this machine. Leave the option "
            "'device' out to compute on processors, or run where `nvidia-smi` lists a GPU and "
            "torch was installed with CUDA."
        )
