"""Tables of the docs that benchmarks write, from `<!-- RESULTS.json -->` to `<!-- end -->`."""

END = "<!-- end -->"


def with_table(page: str, results: str, table: str) -> str:
    """Return a page with the table of a file of results in its place; the prose stays."""
    start = f"<!-- {results}.json -->\n"
    if page.count(start) != 1 or END not in page.split(start)[1]:
        raise ValueError(f"the page needs the lines {start.strip()} and {END}, once each")
    before, rest = page.split(start)
    return before + start + table + "\n" + END + rest.split(END, 1)[1]
