"""When memory does not hold what is computed. No torch."""


def out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that: torch's own errors differ by device, and most are plain RuntimeErrors."""
    text = str(error)
    return isinstance(error, MemoryError) or "out of memory" in text.lower() or "allocate memory" in text


def smaller_batches(tiles: int, batches: int, *, least: int) -> int:
    """In how many batches to learn `tiles` Tiles after `batches` were too large: twice as many, of `least` Tiles each.

    As many as before where there cannot be more.
    """
    return max(batches, min(2 * batches, tiles // least))
