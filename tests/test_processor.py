from pathlib import Path

from fathom.ground.processor import processor, processor_name


def test_the_processor_is_told_by_its_model_and_instruction_sets():
    assert processor() == processor()
    if Path("/proc/cpuinfo").is_file() and "flags" in Path("/proc/cpuinfo").read_text():
        assert "sse2" in processor().split()


def test_its_name_stands_before_its_instruction_sets():
    assert processor().startswith(f"{processor_name()}; ")
