"""Work on several items at once, results in the items' order, and never more than a few at hand."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")
Result = TypeVar("Result")


def read_and_work(
    items: Iterable[Item],
    read: Callable[[Item], Read],
    work: Callable[[Item, Read], Result],
    at_once: int,
) -> Iterator[Result]:
    """Yield `work(item, read(item))` of each item, in order.

    One thread reads ahead, `at_once` work; at most one item more than those is at hand. An
    error, or the end of the caller's interest, ends it all once what is at work is done.
    """
    reader, pool = ThreadPoolExecutor(1, "read"), ThreadPoolExecutor(at_once, "work")
    under_way: deque[Future[Result]] = deque()
    try:
        for item in items:
            pixels = reader.submit(read, item)
            under_way.append(pool.submit(_work, work, item, pixels))
            if len(under_way) > at_once:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        reader.shutdown(wait=False, cancel_futures=True)
        pool.shutdown(wait=True, cancel_futures=True)
        reader.shutdown(wait=True)


def _work(work: Callable[[Item, Read], Result], item: Item, pixels: Future[Read]) -> Result:
    return work(item, pixels.result())
