import subprocess
import sys

SCRIPT = """
import ctypes, sys, threading
from fathom.ground.heap import share_one_heap

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.fopen.restype = ctypes.c_void_p
{call}
met = threading.Barrier(4)

def take():
    libc.malloc(100)
    met.wait()

threads = [threading.Thread(target=take) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


def heaps(call, path):
    command = [sys.executable, "-c", SCRIPT.format(call=call), str(path)]
    subprocess.run(command, check=True)
    return path.read_text(encoding="utf-8").count("<heap nr=")


def test_all_threads_share_one_heap(tmp_path):
    assert heaps("share_one_heap()", tmp_path / "asked") == 1
    assert heaps("", tmp_path / "not asked") > 1  # else there is nothing to ask for
