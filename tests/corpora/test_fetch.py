"""Downloads against a server on this machine: checks, broken connections, odd archives."""

import errno
import hashlib
import http.server
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, strategies as st

from emokit.cli import group
from emokit.core.errors import ConfigError, CorpusError, EmokitError
from emokit.corpora.catalogue import entries
from emokit.corpora.fetch import RECORD, WORK, Download, downloads, fetch, steps
from emokit.corpora.parsers import PARSERS
from emokit.corpora.unpack import _parts, unpack, zip_name


class Server(http.server.ThreadingHTTPServer):
    """Serves bytes by path; `break_at` ends the first answers after so many bytes."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.asked, self.break_at, self.ranges = {}, [], [], True

    def url(self, name):
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # head and body in one packet
    wbufsize = 1 << 16

    def log_message(self, *words):
        pass

    def do_GET(self):
        server = self.server
        data = server.files.get(self.path.lstrip("/").partition("?")[0])
        wanted = self.headers.get("Range")
        server.asked.append((self.path.lstrip("/"), wanted))
        if data is None:
            self.send_error(404)
            return
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        start = 0
        if wanted and server.ranges and self.headers.get("If-Range") == tag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if server.break_at:
            self.wfile.write(data[start:start + server.break_at.pop(0)])
            self.close_connection = True
        else:
            self.wfile.write(data[start:])


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def zipped(files):
    """Make a ZIP; a name may be a ZipInfo."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files, mode="w:gz"):
    """Make a tar archive; a value that is a TarInfo stands for itself."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in files.items():
            if isinstance(data, tarfile.TarInfo):
                archive.addfile(data)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def md5(data):
    return "md5:" + hashlib.md5(data).hexdigest()


EMODB = {f"wav/{stem}.wav": stem.encode() * 40 for stem in ("03a01Fa", "03a01Nc", "08a01Wa")}


def visible(folder):
    """The files that are neither hidden nor in a hidden folder."""
    found = (path.relative_to(folder) for path in Path(folder).rglob("*") if path.is_file())
    return sorted(str(path) for path in found
                  if not any(part.startswith(".") for part in path.parts))


# what is fetched, and what is not fetched again

def test_a_corpus_comes_checked_unpacked_and_recognised(server, tmp_path):
    server.files["emodb.zip"] = data = zipped(EMODB)
    seen = []
    result = fetch("emodb", tmp_path / "emodb",
                   [Download(server.url("emodb.zip"), unpack="zip", hash=md5(data))],
                   lambda *step: seen.append(step))
    assert visible(tmp_path / "emodb") == sorted(EMODB)
    assert (tmp_path / "emodb/wav/03a01Fa.wav").read_bytes() == EMODB["wav/03a01Fa.wav"]
    assert (result.n_new, result.n_kept, result.unverified, result.recognised) == (1, 0, [], True)
    assert seen == [("emodb.zip", 0, 0)]
    assert sorted(path.name for path in (tmp_path / "emodb").iterdir()) == [RECORD, "wav"]
    assert len(list(PARSERS["emodb"].parse(tmp_path / "emodb"))) == 3


def test_what_is_there_is_not_fetched_again_and_what_was_lost_is(server, tmp_path):
    server.files |= {"a.zip": zipped({"a.wav": b"a"}), "b.csv": b"1,2"}
    items = [Download(server.url("a.zip"), unpack="zip"),
             Download(server.url("b.csv"), into="tables")]
    first = fetch("emodb", tmp_path, items)
    assert first.unverified == ["a.zip", "b.csv"]
    assert visible(tmp_path) == ["a.wav", "tables/b.csv"]
    again = fetch("emodb", tmp_path, items)
    assert (again.n_new, again.n_kept, len(server.asked)) == (0, 2, 2)
    (tmp_path / "a.wav").write_bytes(b"")
    (tmp_path / "tables/b.csv").write_bytes(b"cut")
    (tmp_path / "tables/b.csv").unlink()
    assert fetch("emodb", tmp_path, items).n_new == 2
    assert (tmp_path / "a.wav").read_bytes() == b"a"


def test_a_recorded_checksum_is_verified_later(server, tmp_path):
    server.files["a.zip"] = zipped({"a.wav": b"first"})
    items = [Download(server.url("a.zip"), unpack="zip")]
    fetch("emodb", tmp_path, items)
    (tmp_path / "a.wav").unlink()
    server.files["a.zip"] = zipped({"a.wav": b"other"})
    with pytest.raises(CorpusError, match="checksum recorded at the first download"):
        fetch("emodb", tmp_path, items)
    assert not (tmp_path / "a.wav").exists()


def test_an_address_that_changed_is_fetched_anew(server, tmp_path):
    server.files |= {"old/list.csv": b"old", "new/list.csv": b"newer"}
    fetch("emodb", tmp_path, [Download(server.url("old/list.csv"))])
    assert fetch("emodb", tmp_path, [Download(server.url("new/list.csv"))]).n_new == 1
    assert (tmp_path / "list.csv").read_bytes() == b"newer"


def test_published_single_files_come_one_by_one_and_a_missing_one_keeps_none_back(
        server, tmp_path):
    stems = [item.path for item in PARSERS["emodb"].stand_ins()]
    server.files |= {f"media/{path}": path.encode() for path in stems[1:]}
    items = [Download(server.url("media/{path}"))]
    with pytest.raises(CorpusError, match="1 of 535 files of 'emodb' could not.*First: The server "
                       "answers 404 .*03a01Fa.wav"):
        fetch("emodb", tmp_path, items)
    assert visible(tmp_path) == sorted(stems[1:])
    server.files[f"media/{stems[0]}"] = b"late"
    server.asked.clear()
    result = fetch("emodb", tmp_path, items)
    assert (result.n_new, result.n_kept, len(server.asked)) == (1, 534, 1)


def test_archives_inside_archives_and_outer_folders(server, tmp_path):
    inner = tarred({"train_splits/dia0_utt0.mp4": b"video"})
    server.files["MELD.Raw.tar.gz"] = tarred({
        "MELD.Raw/train.tar.gz": inner, "MELD.Raw/train_sent_emo.csv": b"Sr No."})
    fetch("meld", tmp_path, [Download(server.url("MELD.Raw.tar.gz"), unpack="tar", strip=1,
                                      inner=["MELD.Raw/*.tar.gz"])])
    assert visible(tmp_path) == ["train_sent_emo.csv", "train_splits/dia0_utt0.mp4"]


# broken connections

def test_a_broken_connection_goes_on_where_it_stopped(server, tmp_path):
    server.files["a.wav"] = data = os.urandom(3_000_000)
    server.break_at = [1_000_000, 700_000]
    fetch("emodb", tmp_path, [Download(server.url("a.wav"), hash=md5(data))])
    assert (tmp_path / "a.wav").read_bytes() == data
    ranges = [wanted for _, wanted in server.asked]
    assert ranges[0] is None and len(ranges) == 3
    assert 0 < int(ranges[1][6:-1]) <= 1_000_000 < int(ranges[2][6:-1]) <= 1_700_000


def test_after_too_many_breaks_the_part_stays_for_the_next_call(server, tmp_path):
    server.files["a.wav"] = data = os.urandom(2_500_000)
    items = [Download(server.url("a.wav"))]
    server.break_at = [1_100_000, 0, 0]
    with pytest.raises(EmokitError, match="failed .*run the command again to go on"):
        fetch("emodb", tmp_path, items)
    assert visible(tmp_path) == []
    part, = (tmp_path / WORK).glob("*.part")
    assert 0 < part.stat().st_size <= 1_100_000
    server.asked.clear()
    fetch("emodb", tmp_path, items)
    assert (tmp_path / "a.wav").read_bytes() == data
    assert len(server.asked) == 1 and server.asked[0][1].startswith("bytes=")
    assert not (tmp_path / WORK).exists()


@pytest.mark.parametrize("change", ["server without ranges", "another version"])
def test_a_part_that_cannot_go_on_starts_over(server, tmp_path, change):
    server.files["a.wav"] = os.urandom(2_000_000)
    items = [Download(server.url("a.wav"))]
    server.break_at = [1_500_000, 0, 0]
    with pytest.raises(EmokitError):
        fetch("emodb", tmp_path, items)
    if change == "another version":
        server.files["a.wav"] = os.urandom(1_200_000)
    else:
        server.ranges = False
    fetch("emodb", tmp_path, items)
    assert (tmp_path / "a.wav").read_bytes() == server.files["a.wav"]


def test_an_archive_that_came_whole_is_unpacked_without_another_download(server, tmp_path):
    """What a kill between download and unpacking leaves, half-unpacked files included."""
    (tmp_path / WORK / "unpacking").mkdir(parents=True)
    (tmp_path / WORK / "unpacking" / "wav").write_bytes(b"half")
    (tmp_path / WORK / "emodb.zip").write_bytes(zipped(EMODB))
    (tmp_path / RECORD).write_text('{"corpus": "emodb", "files": {}}')
    result = fetch("emodb", tmp_path, [Download(server.url("emodb.zip"), unpack="zip")])
    assert visible(tmp_path) == sorted(EMODB) and result.recognised
    assert server.asked == []


def test_two_processes_do_not_fetch_into_one_folder(server, tmp_path):
    from emokit.core.files import locked

    (tmp_path / WORK).mkdir()
    with locked(tmp_path / WORK / "lock", EmokitError("unused")):
        with pytest.raises(EmokitError, match="Another process is fetching 'emodb'"):
            fetch("emodb", tmp_path, [Download(server.url("a.wav"))])
    assert server.asked == []


def test_no_server_is_said_in_words(server, tmp_path):
    url = server.url("a.wav")
    server.shutdown()
    server.server_close()
    with pytest.raises(EmokitError, match="connection for http://127.0.0.1.*failed"):
        fetch("emodb", tmp_path, [Download(url)])


# files that are not what they should be

def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    server.files["a.zip"] = zipped({"a.wav": b"a"})
    with pytest.raises(CorpusError, match="does not have the checksum published "
                       r"\(md5:0123.*whether the corpus has moved: http://emodb"):
        fetch("emodb", tmp_path, [Download(server.url("a.zip"), unpack="zip",
                                           hash="md5:0123456789abcdef0123456789abcdef")])
    assert visible(tmp_path) == [] and not list((tmp_path / WORK).glob("*.zip"))


@pytest.mark.parametrize("kind, data, message", [
    ("zip", b"<!DOCTYPE html><p>Please log in", r"no zip archive or is damaged \(it begins with "
     "'<!DOCTYPE"),
    ("tar", b"<html>", "no tar archive"),
    ("zip", zipped({"a.wav": b"a" * 5000})[:-40], "no zip archive or is damaged"),
    ("tar", tarred({"a.wav": os.urandom(90_000)})[:-30_000], "is damaged"),
    ("zip", zipped({}), "holds no file"),
], ids=["page as zip", "page as tar", "cut zip", "cut tar", "empty zip"])  # bytes hold the time
def test_a_damaged_archive_is_named_and_fetched_again(server, tmp_path, kind, data, message):
    server.files["a.bin"] = data
    items = [Download(server.url("a.bin"), unpack=kind)]
    with pytest.raises(CorpusError, match=f"'a.bin' .*{message}.*It came from"):
        fetch("emodb", tmp_path, items)
    assert visible(tmp_path) == []
    server.files["a.bin"] = (zipped if kind == "zip" else tarred)({"a.wav": b"good"})
    fetch("emodb", tmp_path, items)
    assert (tmp_path / "a.wav").read_bytes() == b"good"


def test_a_flipped_byte_in_a_zip_is_found_without_a_published_checksum(server, tmp_path):
    data = bytearray(zipped({"a.wav": os.urandom(5000)}))
    data[2000] ^= 255
    server.files["a.zip"] = bytes(data)
    with pytest.raises(CorpusError, match="is damaged"):
        fetch("emodb", tmp_path, [Download(server.url("a.zip"), unpack="zip")])


@pytest.mark.parametrize("name", ["../outside.wav", "a/../../outside.wav", "/outside.wav",
                                  "C:/outside.wav", "..\\outside.wav"])
def test_a_name_that_leaves_the_folder_stops_before_anything_is_unpacked(
        server, tmp_path, name):
    server.files["a.zip"] = zipped({"good.wav": b"a", name: b"evil"})
    with pytest.raises(CorpusError, match="would leave its folder"):
        fetch("emodb", tmp_path / "in", [Download(server.url("a.zip"), unpack="zip")])
    assert visible(tmp_path) == []
    if "\\" not in name and ":" not in name:
        server.files["a.tar"] = tarred({"good.wav": b"a", name: b"evil"}, "w")
        with pytest.raises(CorpusError, match="would leave its folder"):
            fetch("emodb", tmp_path / "in", [Download(server.url("a.tar"), unpack="tar")])


@given(st.text(st.sampled_from("ab./\\:\0é"), max_size=12))
def test_no_name_in_an_archive_leads_out_of_the_folder(name):
    inside = os.path.normpath(os.path.join("/root/folder", *_parts(name)))
    assert inside == "/root/folder" or inside.startswith("/root/folder/")


def test_links_and_macos_extras_are_left_out_and_counted(server, tmp_path):
    link = tarfile.TarInfo("link.wav")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    zip_link = zipfile.ZipInfo("other.wav")
    zip_link.external_attr = 0o120777 << 16
    server.files |= {
        "a.tar": tarred({"a.wav": b"a", "link.wav": link}),
        "b.zip": zipped({"b.wav": b"b", zip_link: b"/etc/passwd", "__MACOSX/._b.wav": b"x"})}
    result = fetch("emodb", tmp_path, [Download(server.url("a.tar"), unpack="tar"),
                                       Download(server.url("b.zip"), unpack="zip")])
    assert visible(tmp_path) == ["a.wav", "b.wav"]
    assert result.left_out == ["link.wav", "other.wav"]


def test_pointers_of_git_lfs_are_no_recordings(server, tmp_path):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    server.files["a.zip"] = zipped({"a.wav": pointer, "b.wav": pointer})
    with pytest.raises(CorpusError, match="2 files .* pointers of git lfs: a.wav, b.wav"):
        fetch("emodb", tmp_path, [Download(server.url("a.zip"), unpack="zip")])


def test_a_locked_zip_is_said_in_words(tmp_path):
    data = bytearray(zipped({"a.wav": b"a"}))
    # bit 0 of the flags in both headers
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(CorpusError, match="locked by a password"):
        unpack(tmp_path / "a.zip", "zip", tmp_path / "out", tmp_path / "work")
    assert not (tmp_path / "out").exists() and not (tmp_path / "work").exists()


@pytest.mark.parametrize("raw, flag", [
    ("Colère/é.wav".encode("cp437"), 0), ("Colère/é.wav".encode(), 0),
    ("Colère/é.wav".encode(), 0x800), (b"Col\x8are\\\x82.wav", 0)])
def test_accents_come_out_whichever_tool_packed_them(tmp_path, raw, flag):
    """A ZIP has no place for an encoding but one bit, which many tools leave unset."""
    plain = "x" * len(raw)
    data = bytearray(zipped({plain: b"a"}).replace(plain.encode(), raw))
    data[7] |= flag >> 8
    data[data.index(b"PK\x01\x02") + 9] |= flag >> 8
    (tmp_path / "a.zip").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert zip_name(archive.infolist()[0]) == "Colère/é.wav"
    members, _ = unpack(tmp_path / "a.zip", "zip", tmp_path, tmp_path / "work")
    assert members == {"Colère/é.wav": 1}


def test_the_unicode_name_of_info_zip_wins():
    import struct
    import zlib

    info = zipfile.ZipInfo("Col?re.wav")
    name = "Colère.wav".encode()
    info.extra = struct.pack("<HHBI", 0x7075, 5 + len(name), 1, zlib.crc32(b"Col?re.wav")) + name
    assert zip_name(info) == "Colère.wav"


# folders and disks

def test_a_folder_with_other_files_is_not_touched(server, tmp_path):
    (tmp_path / "mine.wav").write_bytes(b"mine")
    with pytest.raises(CorpusError, match="holds mine.wav, which 'fetch' did not put there"):
        fetch("emodb", tmp_path, [Download(server.url("a.wav"))])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / RECORD).write_text('{"corpus": "tess", "files": {}}')
    with pytest.raises(CorpusError, match="holds another corpus"):
        fetch("emodb", tmp_path / "other", [Download(server.url("a.wav"))])
    assert server.asked == []


def test_a_disk_without_room_is_one_line_and_the_rest_can_follow(server, tmp_path):
    """A limit on the size of files stands in for a full disk: both refuse the write."""
    server.files["a.wav"] = data = os.urandom(3_000_000)
    code = ("import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000,) * 2)\n"
            "from emokit.core.errors import EmokitError\n"
            "from emokit.corpora.fetch import Download, fetch\n"
            "try: fetch('emodb', sys.argv[2], [Download(sys.argv[1])])\n"
            "except EmokitError as error: print(type(error).__name__, error)\n")
    done = subprocess.run([sys.executable, "-c", code, server.url("a.wav"), str(tmp_path)],
                          capture_output=True, text=True, check=True)
    assert done.stdout.startswith("EmokitError Cannot write") and done.stdout.count("\n") == 1
    assert os.strerror(errno.EFBIG) not in done.stdout and visible(tmp_path) == []
    fetch("emodb", tmp_path, [Download(server.url("a.wav"))])
    assert (tmp_path / "a.wav").read_bytes() == data
    assert server.asked[-1][1].startswith("bytes=")


def test_a_file_larger_than_the_disk_is_refused_before_it_is_fetched(tmp_path):
    class Huge(Handler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(10**18))
            self.end_headers()

    huge = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Huge)
    threading.Thread(target=huge.serve_forever, args=(0.01,), daemon=True).start()
    with pytest.raises(EmokitError, match="has 1,000,000,000,000 MB, more than the"):
        fetch("emodb", tmp_path, [Download(f"http://127.0.0.1:{huge.server_port}/a.wav")])
    huge.shutdown()
    huge.server_close()


# the table and the command

def test_the_table_of_downloads_is_sound():
    for name, items in downloads().items():
        facts = entries()[name]
        assert facts.access == "open" and facts.licence, name
        assert len({item.name for item in items}) == len(items), name
        for item in items:
            assert item.url.startswith(("https://", "http://emodb.bilderbar.info/"))
            assert item.name and " " not in item.url
            assert item.hash == "unknown" or len(item.hash) in (4 + 32, 7 + 64)
            assert (item.unpack == "none") == item.name.endswith((".csv", ".yaml", ".flac",
                                                                  "{path}")), item.name
    assert not any(item.unconfirmed for item in downloads()["ravdess"])


@pytest.mark.parametrize("name", entries())
def test_every_corpus_has_steps_that_end_in_a_command(name):
    lines = steps(name)
    assert entries()[name].where in lines[0]
    assert f"fetch {name}" in lines[-1] or f"build-corpus {name}" in lines[-1]


def run(*words, **environment):
    return CliRunner(env={"EMOKIT_CORPORA": None, **environment}).invoke(
        group, ["corpora", "fetch", *words])


def test_a_gated_corpus_gets_its_steps_and_exit_1():
    result = run("abc")
    assert result.exit_code == 1
    assert result.stdout.startswith("1. Airplane Behaviour Corpus is given out on request")
    assert "'abc' or 'AirplaneBehaviourCorpus'" in result.stdout
    assert "Error: emokit cannot download 'abc'" in result.output


def test_fetch_without_a_place_or_with_a_wrong_name_is_told_how():
    assert run("ravdess").exit_code == 2
    result = run("ravdes")
    assert result.exit_code == 1 and "Did you mean 'ravdess'" in result.output
    with pytest.raises(ConfigError):
        steps("ravdes")


def test_the_command_prints_licence_address_and_next_line(server, tmp_path, monkeypatch):
    from emokit.corpora import fetch as fetch_module

    server.files["emodb.zip"] = zipped(EMODB)
    table = {"emodb": [Download(server.url("emodb.zip"), unpack="zip", unconfirmed=True)]}
    monkeypatch.setattr(fetch_module, "downloads", lambda: table)
    result = run("emodb", EMOKIT_CORPORA=str(tmp_path))
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path / 'emodb'}\n"
    for words in ("Licence: free; CC0-1.0", "Cite: Burkhardt et al. 2005",
                  "Nobody has confirmed this address lately: http://127", "1 files fetched",
                  "Nobody published a checksum for 1", "build-corpus emodb"):
        assert words in result.output
    record = json.loads((tmp_path / "emodb" / RECORD).read_text())
    assert record["files"]["emodb.zip"]["sha256"] == (
        "sha256:" + hashlib.sha256(server.files["emodb.zip"]).hexdigest())
    assert "0 files fetched, 1 were there" in run("emodb", "--to", str(tmp_path)).output
