"""Files that are not what they seem: two formats in one, another format than their name says, and names that deceive or confuse."""

from __future__ import annotations

from collections.abc import Mapping

from corpus.files import Files, box, zipped

_SCRIPT = b"<script>document.location='http://127.0.0.1:1/'</script>"


def make(whole: Mapping[str, bytes]) -> Files:
    return {**_two_in_one(whole), **_misnamed(whole), **_playlists(), **_oddly_named(whole)}


def _two_in_one(whole: Mapping[str, bytes]) -> Files:
    archive = zipped({"evil.txt": "text"}, stored=True)
    gif = whole["photo.gif"]
    return {
        "script.gif": b"GIF89a/*" + gif[8:] + b"*/=1;alert(1)//",
        "script-after.gif": gif + b"\n<script>alert(1)</script>",
        "archive.jpg": whole["photo.jpg"] + archive,
        "archive.pdf": whole["proposal.pdf"] + archive,
        "page.png": whole["photo.png"] + b"<html><body>" + _SCRIPT + b"</body></html>",
        "php.jpg": whole["photo.jpg"][:2] + b"\xff\xfe\0\x20<?php system($_GET['c']); ?>    " + whole["photo.jpg"][2:],
        "page.mp4": whole["film.mp4"] + box(b"free", b"<html>" + _SCRIPT),
        "document.jpg": whole["photo.jpg"] + whole["proposal.pdf"],
        "picture-in-front.zip": whole["photo.png"] + archive,
        "program.jpg": b"MZ\x90\0" + bytes(60) + b"This program cannot be run in DOS mode.\r\n" + bytes(200),
        "linux-program.png": b"\x7fELF\2\1\1" + bytes(300),
        "shell.png": b"#!/bin/sh\nrm -rf /\n",
        "script.svg": (
            b'<svg xmlns="http://www.w3.org/2000/svg" width="240" height="180" onload="alert(1)"><script><![CDATA[alert(1)]]></script>'
            b'<rect width="240" height="180" fill="#c81e3c"/></svg>'
        ),
    }  # fmt: skip


def _misnamed(whole: Mapping[str, bytes]) -> Files:
    return {
        "really-png.jpg": whole["photo.png"],
        "really-jpeg.png": whole["photo.jpg"],
        "really-webp.jpg": whole["photo.webp"],
        "really-heic.jpg": whole["phone.heic"],
        "really-gif.png": whole["moving.gif"],
        "really-pdf.jpg": whole["proposal.pdf"],
        "really-mp4.jpg": whole["film.mp4"],
        "really-mp3.jpg": whole["sound.mp3"],
        "really-zip.jpg": whole["plans.zip"],
        "really-html.jpg": whole["page.html"],
        "really-text.png": b"this is no picture\n",
        "really-jpeg.mp4": whole["photo.jpg"],
        "really-pdf.mp4": whole["proposal.pdf"],
        "really-mp3.mp4": whole["sound.mp3"],
        "really-webm.mp4": whole["film.webm"],
        "really-mp4.avi": whole["film.mp4"],
        "really-text.mp4": b"this is no film\n" * 50,
        "really-silent.mp3": whole["silent.mp4"],
        "really-film.mp3": whole["film.mp4"],
        "really-flac.mp3": whole["sound.flac"],
        "really-jpeg.mp3": whole["photo.jpg"],
        "really-docx.pdf": whole["brief.docx"],
        "really-pdf.docx": whole["proposal.pdf"],
        "really-jpeg.pdf": whole["photo.jpg"],
        "really-film.pdf": whole["film.mp4"],
        "really-xlsx.csv": whole["leads.xlsx"],
        "really-csv.xlsx": whole["leads.csv"],
        "really-zip.docx": whole["plans.zip"],
        "really-png.glb": whole["photo.png"],
        "really-obj.glb": whole["tent.obj"],
        "really-glb.obj": whole["tent.glb"],
        "really-text.stl": b"solid ground\n",
        "really-png.psd": whole["photo.png"],
        "really-docx.psd": whole["brief.docx"],
        "really-film.psd": whole["film.mp4"],
    }


def _playlists() -> Files:
    """What a careless player follows to other files and hosts."""
    return {
        "playlist.mp4": b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1.0,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "concat.mp4": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "session.mp4": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 1 RTP/AVP 96\n",
        "manifest.mp4": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>http://127.0.0.1:1/</BaseURL></MPD>',
    }


def _oddly_named(whole: Mapping[str, bytes]) -> Files:
    names = (
        "صورة الجناح.jpg", "展台照片.jpg", "👩\u200d👩\u200d👧 stand 🎪.jpg", "two  spaces .jpg", " leading.jpg", "-rf.jpg", "con.jpg",
        ".hidden.jpg", "no ending", "many.dots.in.a.name.jpg", "UPPER.JPG", "bell\x07tab\tline\nend.jpg", "turned\u202egpj.exe.jpg",
        "zero\u200bwidth.jpg", "cafe\u0301.jpg", "..%2f..%2fetc%2fpasswd.jpg", "..\\..\\windows\\win.ini.jpg", "....jpg", "$(reboot).jpg",
        "'; DROP TABLE assets;--.jpg", "<img src=x onerror=alert(1)>.jpg", "{{7*7}}%s%n.jpg", "a" * 251 + ".jpg", "ص" * 125 + ".jpg",
        "photo.jpg.exe", "photo.abcdefghijklmnop",
    )  # fmt: skip
    return dict.fromkeys(names, whole["photo.jpg"])
