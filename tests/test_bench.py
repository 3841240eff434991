import bench
import million_nuclei


def test_the_page_has_the_tables_of_the_results():
    page = bench.PAGE.read_text(encoding="utf-8")
    assert bench.with_tables(page) == page


def test_what_make_bench_runs_is_there():
    for words in bench.COMMANDS:
        assert (bench.ROOT / "benchmarks" / words.split()[0]).is_file()


def test_how_a_stage_grows_is_told_by_the_two_largest_sizes():
    one = {"seconds": 1.0, "cpu_seconds": 2.0, "peak_gib": 0.5}
    many = {"seconds": 12.0, "cpu_seconds": 200.0, "peak_gib": 0.6}
    table = million_nuclei.table({"1000": {"audit": one}, "10000": {"audit": many}})
    [row] = [line for line in table.splitlines() if line.startswith("| `audit`")]
    assert row == "| `audit` | 1.0 | 2.0 | 0.50 | 12.0 | 200.0 | 0.60 | 2.00 |"
