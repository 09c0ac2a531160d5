"""Archives that were altered, cut off or made to do harm: none gets in, and nothing is left of the attempt."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from discover import Campaign
from discover.errors import InvalidInput
from discover.provenance.archive import export_campaign
from discover.provenance.importing import import_campaign
from tests.provenance.conftest import rich


def rewritten(archive: Path, to: Path, change) -> Path:
    """The archive once more, its members passed through change(name, body) -> body, None to leave out."""
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(to, "w") as target:
        for name in source.namelist():
            body = change(name, source.read(name))
            if body is not None:
                target.writestr(name, body)
    return to


def resealed(archive: Path, to: Path, change) -> Path:
    """As `rewritten`, with a manifest that has the sizes and hashes of what is there: only the content can give it away."""
    import hashlib

    bodies = {}
    with zipfile.ZipFile(archive) as source:
        for name in source.namelist():
            body = change(name, source.read(name))
            if body is not None:
                bodies[name] = body
    manifest = json.loads(bodies.pop("manifest.json"))
    manifest["files"] = {n: {"bytes": len(b), "sha256": hashlib.sha256(b).hexdigest()} for n, b in bodies.items()}
    with zipfile.ZipFile(to, "w") as target:
        target.writestr("manifest.json", json.dumps(manifest))
        for name, body in bodies.items():
            target.writestr(name, body)
    return to


def damaged(lines: list[dict], change) -> bytes:
    change(lines)
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def edit_payload(lines):
    line = next(line for line in lines if '"value":12.5' in line["payload"])
    line["payload"] = line["payload"].replace('"value":12.5', '"value":99.5')


CHANGES = {
    "an edited payload": (edit_payload, "the chain is broken"),
    "a missing event": (lambda lines: lines.pop(4), "missing"),
    "the last event cut off": (lambda lines: lines.pop(), "tells of"),
    "two events swapped": (lambda lines: lines.insert(4, lines.pop(5)), "comes after|missing"),
    "an event twice": (lambda lines: lines.append(lines[-1]), "stands twice|comes after"),
    "another actor": (lambda lines: lines[3].update(actor="somebody else"), "the chain is broken"),
    "another time": (lambda lines: lines[3].update(time="1999"), "the chain is broken"),
    "a kind that nobody knows": (lambda lines: lines[3].update(kind="erased"), "does not know events of kind"),
    "a newer schema": (lambda lines: lines[3].update(schema=99), "schema 99"),
    "a column more": (lambda lines: lines[3].update(campaign="other"), "columns of an event"),
    "a number as text": (lambda lines: lines[3].update(seq="4"), "envelope is broken"),
    "an identity that is none": (lambda lines: lines[3].update(identity={}), "envelope is broken"),
    "a payload that is no JSON": (lambda lines: lines[3].update(payload="{"), "cannot be read"),
    "a payload that is a list": (lambda lines: lines[3].update(payload="[]"), "cannot be read"),
}


@pytest.mark.parametrize("which", CHANGES)
def test_altered_events_are_refused_even_with_hashes_that_fit(archive, other, tmp_path, which):
    change, words = CHANGES[which]

    def alter(name, body):
        return damaged([json.loads(x) for x in body.splitlines()], change) if name == "events.jsonl" else body

    with pytest.raises(InvalidInput, match=words):
        import_campaign(resealed(archive, tmp_path / "bad.zip", alter), other)
    assert not (tmp_path / "other.db").exists()
    assert not (tmp_path / "other.db.files").exists()


def test_every_byte_of_every_file_is_under_a_hash(archive, other, tmp_path):
    with zipfile.ZipFile(archive) as found:
        names = [name for name in found.namelist() if name != "manifest.json"]
    assert len(names) == 4
    for victim in names:

        def alter(name, body, victim=victim):
            return body[:-1] + bytes([body[-1] ^ 1]) if name == victim else body

        with pytest.raises(InvalidInput, match="is not the file that the manifest tells of"):
            import_campaign(rewritten(archive, tmp_path / "bad.zip", alter), other)
    assert not (tmp_path / "other.db").exists()


@pytest.mark.parametrize("suffix", [".parquet", ".json"])
def test_an_altered_or_missing_snapshot_is_refused(archive, other, tmp_path, suffix):
    def alter(name, body):
        if not (name.startswith("snapshots/") and name.endswith(suffix)):
            return body
        return body.replace(b"frame", b"fname") if suffix == ".json" else body[: len(body) // 2]

    def drop(name, body):
        return None if name.startswith("snapshots/") and name.endswith(suffix) else body

    if suffix == ".parquet":
        with pytest.raises(InvalidInput, match=r"restore it|cannot be read"):
            import_campaign(resealed(archive, tmp_path / "bad.zip", alter), other)
    with pytest.raises(InvalidInput, match="is missing"):
        import_campaign(resealed(archive, tmp_path / "bad.zip", drop), other)
    assert not (tmp_path / "other.db").exists()


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.7, 0.99])
def test_a_truncated_archive_is_refused_in_words(archive, other, tmp_path, share):
    body = archive.read_bytes()
    (tmp_path / "cut.zip").write_bytes(body[: int(len(body) * share)])
    with pytest.raises(InvalidInput, match="not a whole zip archive"):
        import_campaign(tmp_path / "cut.zip", other)


def test_a_file_that_is_not_there_or_no_archive_is_refused_in_words(other, tmp_path):
    (tmp_path / "x.zip").write_text("hello")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as found:
        found.writestr("manifest.json", '{"format": "something else"}')
    for name, words in {
        "nothing.zip": "No such file",
        ".": "directory",
        "x.zip": "not a whole zip",
        "empty.zip": "has no manifest",
        "other.zip": "not the archive of a campaign",
    }.items():
        with pytest.raises(InvalidInput, match=words):
            import_campaign(tmp_path / name, other)


def with_manifest(archive, to, **changes):
    def alter(name, body):
        return json.dumps(json.loads(body) | changes) if name == "manifest.json" else body

    return rewritten(archive, to, alter)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": 2}, "reads up to 1.*update discover"),
        ({"version": "1"}, "reads up to"),
        ({"campaign": "../x"}, "campaign"),
        ({"uid": "../x"}, "uid"),
        ({"uid": "ffffff"}, "chain is broken|not named after"),
        ({"campaign": "other"}, "chain is broken"),
        ({"events": 3}, "tells of 3 events"),
        ({"chain": "0" * 64}, "not the one that the manifest tells of"),
        ({"snapshots": ["../../etc/passwd"]}, "snapshots"),
        ({"snapshots": []}, "is not in the archive"),
        ({"files": {}}, "does not tell of it"),
        ({"files": None}, "files"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(archive, other, tmp_path, changes, words):
    with pytest.raises(InvalidInput, match=words):
        import_campaign(with_manifest(archive, tmp_path / "bad.zip", **changes), other)
    assert not (tmp_path / "other.db").exists()


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/elsewhere/evil",
        "snapshots/../../evil.parquet",
        "snapshots/x.parquet",
        "a.py",
        "snapshots\\x.json",
        "C:/x",
    ],
)
def test_names_that_lead_elsewhere_are_refused(archive, other, tmp_path, name):
    bad = tmp_path / "bad.zip"
    shutil.copy(archive, bad)
    with zipfile.ZipFile(bad, "a") as found:
        found.writestr(name, "evil")
    with pytest.raises(InvalidInput, match="no campaign's archive holds such a file"):
        import_campaign(bad, other)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.zip"]


def test_links_encrypted_and_doubled_members_are_refused(archive, other, tmp_path):
    import stat

    def link(found):
        member = zipfile.ZipInfo("snapshots/" + "0" * 64 + ".json")
        member.create_system, member.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        found.writestr(member, "/etc/passwd")

    def doubled(found):
        with pytest.warns(UserWarning, match="Duplicate"):
            found.writestr("events.jsonl", "x")

    for damage, words in ((link, "is a link"), (doubled, "stands twice")):
        shutil.copy(archive, tmp_path / "bad.zip")
        with zipfile.ZipFile(tmp_path / "bad.zip", "a") as found:
            damage(found)
        with pytest.raises(InvalidInput, match=words):
            import_campaign(tmp_path / "bad.zip", other)


def test_a_bomb_is_refused_before_it_is_unpacked(archive, other, tmp_path):
    bomb = b"\0" * (64 << 20)

    def swell(name, body):
        return bomb if name == "observations.parquet" else body

    def write(change, how):
        with zipfile.ZipFile(archive) as source, zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as to:
            for name in source.namelist():
                to.writestr(name, change(name, source.read(name)))
        return tmp_path / "b.zip"

    told = write(swell, None)
    assert told.stat().st_size < 1 << 20
    with pytest.raises(InvalidInput, match="is not the file that the manifest tells of"):
        import_campaign(told, other)
    honest = resealed(archive, tmp_path / "h.zip", swell)
    with pytest.raises(InvalidInput, match="would unpack to"):
        import_campaign(honest, other, limit=32 << 20)


def test_a_proposals_id_that_would_lead_elsewhere_is_refused(tmp_path, pool, other, monkeypatch):
    campaign = rich(f"sqlite:///{tmp_path / 'a.db'}", pool)
    export_campaign(campaign, tmp_path / "c.zip")

    def alter(name, body):
        if name != "events.jsonl":
            return body
        return relinked(body, campaign, lambda text: text.replace(f"{campaign.uid}-0001", "../../evil"))

    bad = resealed(tmp_path / "c.zip", tmp_path / "bad.zip", alter)
    with zipfile.ZipFile(bad) as found:
        chain = json.loads(found.read("events.jsonl").splitlines()[-1])["chain"]
    with pytest.raises(InvalidInput, match="not a proposal's id"):
        import_campaign(with_manifest(bad, tmp_path / "bad2.zip", chain=chain), other)


def relinked(body: bytes, campaign: Campaign, change) -> bytes:
    """Events with changed payloads under a chain that fits them: what somebody would do who knows how."""
    from discover.store.database.chain import genesis, link

    previous, lines = genesis(campaign.name, campaign.uid), []
    for line in map(json.loads, body.splitlines()):
        line["payload"] = change(line["payload"])
        previous = line["chain"] = link(previous, line | {"campaign": campaign.name})
        lines.append(json.dumps(line))
    return "\n".join(lines).encode()


SHAPES = {
    "a value that is text": ('"value":13.5', '"value":"=1+1"'),
    "a deviation that is text": ('"std":null', '"std":"wide"'),
    "a value beyond all numbers": ('"value":13.5', '"value":1e999'),
    "a bound of another name": ('"bound":null', '"bound":1'),
    "a reason that is a list": ('"reason":"enough for today"', '"reason":[]'),
    "a note without a text": ('"text":"it', '"words":"it'),
    "columns that are none": ('"columns":["a","b"]', '"columns":[{}]'),
    "a prediction that is text": ('"predicted":{}', '"predicted":{"yield":{"mean":"x","std":1}}'),
}


@pytest.mark.parametrize("which", SHAPES)
def test_a_payload_that_is_not_one_of_its_kind_is_refused_under_any_chain(rich_url, tmp_path, other, which):
    campaign = Campaign.open("c", store=rich_url)
    export_campaign(campaign, tmp_path / "c.zip")
    before, after = SHAPES[which]

    def alter(name, body):
        return relinked(body, campaign, lambda text: text.replace(before, after)) if name == "events.jsonl" else body

    bad = resealed(tmp_path / "c.zip", tmp_path / "bad.zip", alter)
    with zipfile.ZipFile(bad) as found:
        chain = json.loads(found.read("events.jsonl").splitlines()[-1])["chain"]
    with pytest.raises(InvalidInput, match="is not what it must be"):
        import_campaign(with_manifest(bad, tmp_path / "bad2.zip", chain=chain), other)
    assert not (tmp_path / "other.db").exists()
