"""The reader on a small archive of the same form, and on the real one where it is at hand."""

import http.server
import random
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from training.data import movielens
from training.data.click_log import DataError
from training.data.movielens import Counts, read
from training.data.splits import split_rows

USERS = ["1::F::1::10::48067", "2::M::56::16::70072-1234"]
MOVIES = ["1::Toy Story (1995)::Animation|Comedy", "2::Misérables, Les (1995)::Drama", "3::M*A*S*H (a) (1970)::War"]
RATINGS = ["1::1::5::978300760", "1::2::3::978302109", "2::3::1::978301968", "2::1::4::978300275"]
COUNTS = Counts(ratings=4, users=2, movies=3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "ml-1m"
    folder.mkdir()
    for name, lines in (("users", USERS), ("movies", MOVIES), ("ratings", RATINGS)):
        (folder / f"{name}.dat").write_text("\n".join(lines) + "\n", encoding="iso-8859-1")
    return folder


@pytest.fixture
def archive(folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "ml-1m.zip"
    with zipfile.ZipFile(path, "w") as file:
        for source in folder.iterdir():
            file.write(source, f"ml-1m/{source.name}")
    return path


def test_ratings_become_clicks_and_threes_are_dropped(folder: Path) -> None:
    log = read(folder, expected=COUNTS)
    assert log.clicks_N.tolist() == [1.0, 0.0, 1.0]
    assert log.columns.rows() == [
        ("1", "F", "1", "10", "48067", "1", "1995"),
        ("2", "M", "56", "16", "70072-1234", "3", "1970"),
        ("2", "M", "56", "16", "70072-1234", "1", "1995"),
    ]


def test_the_release_year_is_the_last_parenthesis(folder: Path) -> None:
    assert read(folder, expected=COUNTS).items["release_year"].to_list() == ["1995", "1995", "1970"]


def test_folder_parent_and_zip_read_the_same(folder: Path, archive: Path) -> None:
    logs = [read(path, expected=COUNTS) for path in (folder, folder.parent, archive)]
    assert logs[0].columns.equals(logs[1].columns)
    assert logs[0].columns.equals(logs[2].columns)


def test_vocabularies_cover_users_and_movies_that_were_never_rated(folder: Path) -> None:
    log = read(folder, expected=COUNTS)
    assert log.vocabularies["item_id"].values == ("1", "2", "3")


def test_the_split_is_pythons_own_shuffle_of_2022() -> None:
    random.seed(2022)
    rows = list(range(1005))
    random.shuffle(rows)
    split = split_rows(1005)
    assert split.test.tolist() == rows[:100]
    assert split.validation.tolist() == rows[100:200]
    assert split.train.tolist() == rows[200:]


BAD_LINES = [
    ("ratings", "1::1::5", r"ratings\.dat, line 2: found 3 columns '1::1::5', expected 4 columns user_id::item_id"),
    ("ratings", "1::1::5::9::9", r"ratings\.dat, line 2: found 5 columns"),
    ("ratings", "1::1::five::9", r"ratings\.dat, line 2: found 4 columns '1::1::five::9'"),
    ("users", "2::M::56::16", r"users\.dat, line 2: found 4 columns"),
    ("movies", "2::No Year::Drama", r"movies\.dat, line 2: title 'No Year' ends in no year"),
    ("ratings", "7::1::5::978300760", r"ratings\.dat: user_id '7' is not in users\.dat"),
    ("ratings", "1::2::6::978302109", r"ratings\.dat, line 2: rating 6, expected 1 to 5"),
    ("ratings", "1::9::5::978300760", r"ratings\.dat: item_id '9' is not in movies\.dat"),
]


@pytest.mark.parametrize(("name", "line", "message"), BAD_LINES)
def test_a_bad_line_is_refused_with_file_line_found_and_expected(
    folder: Path, name: str, line: str, message: str
) -> None:
    path = folder / f"{name}.dat"
    lines = path.read_text(encoding="iso-8859-1").splitlines()
    path.write_text("\n".join([lines[0], line, *lines[2:]]) + "\n", encoding="iso-8859-1")
    with pytest.raises(DataError, match=message):
        read(folder, expected=COUNTS)


def test_bytes_that_are_not_utf_8_are_refused_with_their_line(folder: Path) -> None:
    (folder / "ratings.dat").write_bytes(b"1::1::5::978300760\n1::\xff::5::978300760\n")
    with pytest.raises(DataError, match=r"ratings\.dat, line 2: byte 3 is not utf-8"):
        read(folder, expected=COUNTS)


def test_a_file_cut_at_a_line_end_is_noticed_by_its_count(folder: Path) -> None:
    (folder / "ratings.dat").write_text("\n".join(RATINGS[:3]) + "\n")
    with pytest.raises(DataError, match=r"found Counts\(ratings=3.*expected Counts\(ratings=4"):
        read(folder, expected=COUNTS)


@pytest.mark.parametrize("name", ["ratings.dat", "users.dat", "movies.dat"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DataError, match=name):
        read(folder, expected=COUNTS)


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.zip: not found; expected the ml-1m zip or its folder"):
        read(tmp_path / "nowhere.zip")


@pytest.mark.parametrize("name", ["ratings", "users", "movies"])
def test_a_file_cut_inside_its_last_line_is_refused_even_if_the_line_still_fits(folder: Path, name: str) -> None:
    path = folder / f"{name}.dat"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(DataError, match=rf"{name}\.dat, line \d: found .* without a line end"):
        read(folder, expected=COUNTS)


def test_a_zip_with_a_flipped_bit_is_refused(archive: Path) -> None:
    whole = archive.read_bytes()
    for position in range(40, len(whole), 7):
        archive.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        try:
            read(archive, expected=COUNTS)
        except DataError:
            continue  # any other exception fails the test; a flip in a time stamp changes nothing


def test_a_truncated_zip_is_refused(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(DataError, match="not a whole ml-1m archive"):
        read(archive, expected=COUNTS)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A web server of tmp_path on loopback."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:
            pass

    def handler(*arguments: object) -> Quiet:
        return Quiet(*arguments, directory=str(tmp_path))  # type: ignore[arg-type]

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:  # type: ignore[arg-type]
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def test_a_download_that_is_not_whole_leaves_nothing(server: str, archive: Path, tmp_path: Path) -> None:
    """The archive served is whole as a zip and far too small: the counts refuse it."""
    assert archive.exists()
    target = tmp_path / "data" / "ml-1m.zip"
    with pytest.raises(DataError, match="expected Counts"):
        movielens.download(target, url=f"{server}/ml-1m.zip")
    assert list(target.parent.iterdir()) == []


def test_without_a_network_the_download_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="without a network, fetch it elsewhere and pass --data PATH"):
        movielens.download(tmp_path / "ml-1m.zip", url="http://127.0.0.1:9/ml-1m.zip")


@pytest.mark.skipif(movielens.find(None) is None, reason="MovieLens-1M is not at hand (it may not be redistributed)")
def test_the_real_archive_gives_the_published_protocol() -> None:
    """739,012 rows, 77.84 % clicked, vocabularies of the paper plus the id for unknown values."""
    source = movielens.find(None)
    assert source is not None
    log = read(source)
    assert len(log.clicks_N) == 739_012
    assert int(log.clicks_N.sum()) == 575_281
    sizes = {name: len(vocabulary) - 1 for name, vocabulary in log.vocabularies.items()}
    assert list(sizes.values()) == [6_041, 3, 8, 22, 3_440, 3_884, 82]
    parts = [log.split.train, log.split.validation, log.split.test]
    assert [len(part) for part in parts] == [591_210, 73_901, 73_901]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(739_012))
