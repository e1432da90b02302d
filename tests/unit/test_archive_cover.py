"""Which files of the archive are read, which are merged and which may go: by their offsets and rows alone."""

from hypothesis import given
from hypothesis import strategies as st

from services.balancer.compaction import FILES_MERGED, FINAL_ROWS, TIER_ROWS, choose
from shared.archive.cover import ArchiveFile, Piece, contained, cover

FILES = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 15)), max_size=12, unique=True).map(
    lambda ranges: [ArchiveFile(first, first + length, f"{first}-{first + length}") for first, length in ranges]
)


def offsets(files: list[ArchiveFile]) -> set[int]:
    return {offset for file in files for offset in range(file.first_offset, file.end_offset)}


@given(FILES, st.integers(0, 50), st.none() | st.integers(0, 60))
def test_a_cover_has_every_offset_that_a_file_holds_once(files: list[ArchiveFile], first: int, end: int | None) -> None:
    pieces = cover(files, first, end)
    taken = [offset for piece in pieces for offset in range(piece.first_offset, piece.end_offset)]
    assert taken == sorted(o for o in offsets(files) if first <= o < (100 if end is None else end))
    for piece in pieces:
        assert piece.file.first_offset <= piece.first_offset < piece.end_offset <= piece.file.end_offset


@given(FILES)
def test_what_may_go_is_held_by_what_stays(files: list[ArchiveFile]) -> None:
    gone = contained(files)
    stays = [file for file in files if file not in gone]
    assert offsets(stays) == offsets(files)
    assert contained(stays) == []
    for file in gone:
        assert any(k.first_offset <= file.first_offset and file.end_offset <= k.end_offset for k in stays)


def pieces_of(rows: list[int], begins: list[int] | None = None) -> list[Piece]:
    """A piece of ten offsets for each number of rows."""
    files = [ArchiveFile(first, first + 10, f"{first}") for first in (begins or [10 * k for k in range(len(rows))])]
    return [Piece(file, file.first_offset, file.end_offset) for file in files]


def test_eight_neighbours_of_a_tier_are_merged_and_seven_are_not() -> None:
    assert choose(pieces_of([5] * 7), [5] * 7) == []
    pieces = pieces_of([5] * 8)
    assert choose(pieces, [5] * 8) == pieces
    large = TIER_ROWS[1]
    assert choose(pieces_of([large] + [5] * 7), [large] + [5] * 7) == []


def test_files_with_offsets_missing_between_them_are_not_merged() -> None:
    begins = [0, 10, 20, 30, 41, 51, 61, 71]
    assert choose(pieces_of([5] * 8, begins), [5] * 8) == []


@given(st.lists(st.sampled_from([0, 5, *TIER_ROWS[:3]]) | st.integers(0, 40_000), min_size=1, max_size=400))
def test_rewriting_stays_logarithmic_and_files_stay_few(written: list[int]) -> None:
    rows: list[int] = []
    rewritten = 0
    for count in written:
        rows.append(count)
        while chosen := choose(pieces_of(rows), rows):
            first = chosen[0].first_offset // 10
            merged = sum(rows[first : first + len(chosen)])
            assert merged < 2 * FINAL_ROWS
            rewritten += merged
            rows[first : first + len(chosen)] = [merged]
    assert rewritten <= 2 * len(TIER_ROWS) * sum(written)
    small = [count for count in rows if count < FINAL_ROWS]
    assert len(small) <= (FILES_MERGED - 1) * len(TIER_ROWS) * (1 + len(rows) - len(small))


def test_files_before_a_larger_one_are_taken_in_by_it() -> None:
    """Seven small ones and a large one, again and again, are never eight of a tier side by side."""
    large = TIER_ROWS[0]
    rows = [5] * 2 + [large]
    assert choose(pieces_of(rows), rows) == pieces_of(rows)
    rows = [large, 5, 5]
    assert choose(pieces_of(rows), rows) == []
    rows = [5, FINAL_ROWS]
    assert choose(pieces_of(rows), rows) == []
