"""Videos and sound in every container and with every oddity of phones, cameras and editors. All are tiny: a second or less."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable
from pathlib import Path

from corpus.files import Files, box, chunk, run_ffmpeg, saved
from corpus.images import scene

FILM = (160, 90)
SECONDS = 1
_PICTURES = ["-f", "lavfi", "-t", str(SECONDS), "-i", "testsrc2=s=160x90:r=10"]
_SOUND = ["-f", "lavfi", "-t", str(SECONDS), "-i", "sine=440:r=44100"]
_H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-threads", "1"]
_H265 = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:pools=1", "-tag:v", "hvc1"]
_VP8 = ["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "-4"]
"""A speed below 0 is kept; one above is chosen anew for each picture, by how busy the machine is."""
_AAC = ["-c:a", "aac", "-b:a", "64k"]
_TAGS = ["-metadata", "title=مرحبا", "-metadata", "artist=Kayan", "-metadata", "album=LEAP 2025", "-metadata", "date=2025"]

Output = tuple[str, list[str]]
"""A file's name and ffmpeg's options for it."""


def make() -> Files:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = folder / "cover.png"
        photo.write_bytes(saved(scene((80, 80)), "PNG"))
        _run(folder, [*_PICTURES, *_SOUND], _containers())
        _run(folder, [*_PICTURES, *_SOUND], _oddities())
        _run(folder, _SOUND, _sounds())
        _run(folder, [*_SOUND, "-i", str(photo)], _covered())
        _odd_sources(folder)
        photo.unlink()
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    return {**files, **_made_by_hand(files)}


def _run(folder: Path, inputs: list[str], outputs: Iterable[Output]) -> None:
    """One run of ffmpeg writes them all: most of its time goes into starting."""
    arguments = [argument for name, options in outputs for argument in (*options, "-bitexact", "-threads", "1", str(folder / name))]
    run_ffmpeg(*inputs, *arguments)


def _containers() -> list[Output]:
    """Every container with what is usually inside."""
    ac = ["-ar", "44100"]
    return [
        ("film.mp4", [*_H264, *_AAC, *_TAGS]),
        ("film.mov", [*_H264, "-c:a", "pcm_s16le"]),
        ("film.m4v", [*_H264, *_AAC, "-f", "mp4"]),
        ("film.mkv", [*_H264, "-c:a", "libopus", "-ar", "48000"]),
        ("film.webm", [*_VP8, "-c:a", "libvorbis"]),
        ("vp9.webm", ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus", "-ar", "48000"]),
        ("av1.mp4", ["-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-pix_fmt", "yuv420p", *_AAC]),
        ("hevc.mp4", [*_H265, "-pix_fmt", "yuv420p", *_AAC]),
        ("film.avi", ["-c:v", "mpeg4", "-c:a", "libmp3lame"]),
        ("motion-jpeg.avi", ["-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-c:a", "pcm_s16le"]),
        ("film.flv", ["-c:v", "flv", "-c:a", "libmp3lame", *ac]),
        ("film.wmv", ["-c:v", "wmv2", "-c:a", "wmav2"]),
        ("film.3gp", ["-c:v", "h263", "-s", "176x144", "-c:a", "libopencore_amrnb", "-ar", "8000", "-ac", "1", "-b:a", "12.2k"]),
        ("film.ts", ["-c:v", "mpeg2video", "-r", "25", "-c:a", "mp2"]),
        ("film.m2ts", [*_H264, "-c:a", "ac3", "-f", "mpegts", "-mpegts_m2ts_mode", "1"]),
        ("film.mpg", ["-c:v", "mpeg1video", "-r", "25", "-c:a", "mp2"]),
        ("film.ogv", ["-c:v", "libtheora", "-c:a", "libvorbis", *_TAGS]),
        ("film.mxf", ["-c:v", "mpeg2video", "-r", "25", "-c:a", "pcm_s16le", "-ar", "48000"]),
        ("film.gif", ["-an"]),
        ("film.h264", [*_H264, "-an"]),
        ("film.y4m", ["-pix_fmt", "yuv420p", "-frames:v", "2", "-an"]),
        ("prores.mov", ["-c:v", "prores_ks", "-c:a", "pcm_s16le"]),
        ("faststart.mp4", [*_H264, *_AAC, "-movflags", "+faststart"]),
        ("fragments.mp4", [*_H264, *_AAC, "-movflags", "+frag_keyframe+empty_moov"]),
    ]


def _oddities() -> list[Output]:
    wide = ["-pix_fmt", "yuv420p10le", "-an", "-vf", "setparams=color_primaries=bt2020:colorspace=bt2020nc:color_trc="]
    return [
        ("silent.mp4", [*_H264, "-an"]),
        ("one-frame.mp4", [*_H264, "-frames:v", "1", "-an"]),
        ("portrait.mp4", [*_H264, "-vf", "transpose=clock", *_AAC]),
        ("wide-pixels.mp4", [*_H264, "-vf", "setsar=2/1", "-an"]),
        ("tall-pixels.mkv", [*_H264, "-vf", "setsar=1/2", "-an"]),
        ("odd.webm", [*_VP8, "-vf", "scale=121:67", "-an"]),
        ("sixty.mp4", [*_H264, "-r", "60", "-an"]),
        ("slow.mp4", [*_H264, "-r", "1", "-an"]),
        ("uneven.mkv", [*_H264, "-vf", r"select='not(mod(n\,3))'", "-fps_mode", "vfr", "-an"]),
        ("interlaced.ts", ["-c:v", "mpeg2video", "-r", "25", "-flags", "+ildct+ilme", "-vf", "interlace", "-an"]),
        ("chroma-444.mp4", ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p", "-an"]),
        ("alpha.webm", ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-pix_fmt", "yuva420p", "-an"]),
        ("alpha.mov", ["-c:v", "qtrle", "-pix_fmt", "argb", "-an"]),
        ("pq.mp4", [*_H265, *wide[:-1], wide[-1] + "smpte2084"]),
        ("hlg.mp4", [*_H265, *wide[:-1], wide[-1] + "arib-std-b67"]),
        ("surround.mp4", [*_H264, *_AAC, "-ac", "6"]),
        ("two-languages.mkv", [*_H264, *_AAC, "-map", "0:v", "-map", "1:a", "-map", "1:a"]),
        ("late.ts", [*_H264, *_AAC, "-output_ts_offset", "3600"]),
        ("black-start.mp4", [*_H264, "-vf", "fade=in:0:4", "-an"]),
        ("place.mov", [*_H264, "-an", "-metadata", "location=+24.8800+046.7350/", "-metadata", "make=Apple"]),
        ("only-sound.mp4", [*_AAC, "-vn"]),
    ]


def _sounds() -> list[Output]:
    mp3 = ["-c:a", "libmp3lame"]
    return [
        ("sound.mp3", [*mp3, "-b:a", "64k", *_TAGS]),
        ("variable.mp3", [*mp3, "-q:a", "5"]),
        ("headless.mp3", [*mp3, "-b:a", "64k", "-write_xing", "0", "-id3v2_version", "0"]),
        ("new-tags.mp3", [*mp3, "-id3v2_version", "4", *_TAGS]),
        ("sound.aac", ["-c:a", "aac", "-f", "adts"]),
        ("sound.m4a", [*_AAC, *_TAGS]),
        ("lossless.m4a", ["-c:a", "alac"]),
        ("sound.flac", ["-c:a", "flac", *_TAGS]),
        ("sound.ogg", ["-c:a", "libvorbis", *_TAGS]),
        ("sound.opus", ["-c:a", "libopus", "-ar", "48000", *_TAGS]),
        ("sound.wav", ["-c:a", "pcm_s16le"]),
        ("deep.wav", ["-c:a", "pcm_s24le", "-ar", "96000"]),
        ("float.wav", ["-c:a", "pcm_f32le"]),
        ("telephone.wav", ["-c:a", "pcm_alaw", "-ar", "8000"]),
        ("stereo.wav", ["-c:a", "pcm_s16le", "-ac", "2"]),
        ("large.rf64", ["-c:a", "pcm_s16le", "-f", "wav", "-rf64", "always"]),
        ("sound.aiff", ["-c:a", "pcm_s16be"]),
        ("sound.aifc", ["-c:a", "pcm_s16le", "-f", "aiff"]),
        ("sound.wma", ["-c:a", "wmav2"]),
        ("sound.amr", ["-c:a", "libopencore_amrnb", "-ar", "8000", "-ac", "1", "-b:a", "12.2k"]),
        ("sound.ac3", ["-c:a", "ac3", "-ac", "6"]),
        ("sound.caf", ["-c:a", "pcm_s16le"]),
        ("sound.mka", ["-c:a", "libopus", "-ar", "48000"]),
        ("sound.wv", ["-c:a", "wavpack"]),
        ("sound.au", ["-c:a", "pcm_s16be"]),
        ("sound.tta", ["-c:a", "tta"]),
        ("sound.w64", ["-c:a", "pcm_s16le"]),
        ("sound.dts", ["-c:a", "dca", "-strict", "-2", "-ar", "48000", "-ac", "2", "-b:a", "320k"]),
        ("sound.thd", ["-c:a", "truehd", "-strict", "-2", "-ar", "48000", "-ac", "2"]),
    ]


def _covered() -> list[Output]:
    cover = ["-map", "0:a", "-map", "1:v", "-disposition:v:0", "attached_pic"]
    return [
        ("covered.mp3", [*cover, "-c:a", "libmp3lame", "-c:v", "png", "-id3v2_version", "3"]),
        ("covered.m4a", [*cover, *_AAC, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p"]),
        ("covered.mp4", [*cover, *_AAC, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p"]),
        ("covered.flac", [*cover, "-c:a", "flac", "-c:v", "png"]),
    ]


def _odd_sources(folder: Path) -> None:
    """What cannot be had from the common source."""
    for name, options in (
        ("turned-90.mp4", ["-display_rotation", "90"]),
        ("turned-180.mp4", ["-display_rotation", "180"]),
        ("turned-270.mov", ["-display_rotation", "270"]),
        ("mirrored.mp4", ["-display_hflip"]),
    ):
        run_ffmpeg(*options, "-i", folder / "film.mp4", "-c", "copy", "-bitexact", folder / name)
    for name, options in (
        ("film.dv", ["-c:v", "dvvideo", "-pix_fmt", "yuv420p", "-c:a", "pcm_s16le", "-ac", "2"]),
        ("film.gxf", ["-c:v", "mpeg2video", "-c:a", "pcm_s16le"]),
    ):  # both know television's sizes only
        television = ["-f", "lavfi", "-t", "0.08", "-i", "testsrc2=s=720x576:r=25", "-f", "lavfi", "-t", "0.08", "-i", "sine=440:r=48000"]
        run_ffmpeg(*television, *options, "-bitexact", "-threads", "1", folder / name)
    subtitles = folder / "words.srt"
    subtitles.write_text("1\n00:00:00,000 --> 00:00:00,500\nأهلا\n", encoding="utf-8")
    run_ffmpeg("-i", folder / "film.mp4", "-i", subtitles, "-map", "0", "-map", "1", "-c", "copy", "-c:s", "mov_text", "-bitexact",
               folder / "subtitles.mp4")  # fmt: skip
    chapters = folder / "chapters.txt"
    chapters.write_text(";FFMETADATA1\ntitle=Book\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=One\n"
                        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=500\nEND=1000\ntitle=Two\n")  # fmt: skip
    run_ffmpeg("-i", folder / "sound.m4a", "-i", chapters, "-map", "0:a", "-map_metadata", "1", "-c", "copy", "-bitexact", "-f", "ipod",
               folder / "book.m4b")  # fmt: skip
    subtitles.unlink()
    chapters.unlink()


def _made_by_hand(files: Files) -> Files:
    sound = files["sound.wav"]
    at = sound.index(b"data")
    samples = sound[at + 8 :]
    form = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 44100, 88200, 2, 16))
    streamed = b"RIFF\xff\xff\xff\xffWAVE" + form + b"data\xff\xff\xff\xff" + samples
    return {
        "streamed.wav": streamed,
        "empty.wav": b"RIFF" + struct.pack("<I", 36) + b"WAVE" + form + b"data\0\0\0\0",
        "arabic-1256-tags.mp3": _id3(b"TIT2", b"\0" + "مرحبا".encode("cp1256")) + files["headless.mp3"],
        "sound.dsf": _dsf(),
        "dolby-vision-5.mp4": with_dolby_vision(files["pq.mp4"], profile=5, base=0),
        "dolby-vision-8.mp4": with_dolby_vision(files["hlg.mp4"], profile=8, base=4),
        "old-tags.mp3": files["headless.mp3"] + _id3v1("Old", "Kayan", "LEAP 2025", "2025"),
        "wide-tags.mp3": _id3(b"TIT2", b"\1" + "مرحبا".encode("utf-16")) + files["headless.mp3"],
    }  # fmt: skip


def _id3(frame: bytes, body: bytes) -> bytes:
    """An ID3v2.3 tag of one frame."""
    content = frame + struct.pack(">IH", len(body), 0) + body
    return b"ID3\3\0\0" + synchsafe(len(content)) + content


def with_dolby_vision(film: bytes, *, profile: int, base: int) -> bytes:
    """An MP4 of HEVC, its index at its end, that says of itself that it is Dolby Vision above a picture of the kind ``base``."""
    record = struct.pack(">BBHB19x", 1, 0, profile << 9 | 1 << 3 | 0b101, base << 4)
    return _inside(film, [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"hvc1"], box(b"dvcC", record))


def _inside(boxes: bytes, path: list[bytes], added: bytes) -> bytes:
    """``boxes`` with ``added`` at the end of the first box that ``path`` leads to."""
    at = 0
    while boxes[at + 4 : at + 8] != path[0]:
        at += int.from_bytes(boxes[at : at + 4], "big")
    end = at + int.from_bytes(boxes[at : at + 4], "big")
    fields = {b"stsd": 8}.get(path[0], 0)  # what stands before the boxes in this one
    head, body = boxes[at + 8 : at + 8 + fields], boxes[at + 8 + fields : end]
    return boxes[:at] + box(path[0], head, _inside(body, path[1:], added) if path[1:] else body + added) + boxes[end:]


def _dsf() -> bytes:
    """One bit a sample, 2.8 million of them a second: a hundredth of a second of silence."""
    samples = 28224
    body = b"\x69" * (-(-samples // 8 // 4096) * 4096)
    form = struct.pack("<4sQIIIIIIQII", b"fmt ", 52, 1, 0, 1, 1, 2822400, 1, 282240, 4096, 0)
    data = struct.pack("<4sQ", b"data", 12 + len(body)) + body
    return struct.pack("<4sQQQ", b"DSD ", 28, 28 + len(form) + len(data), 0) + form + data


def _id3v1(title: str, artist: str, album: str, year: str) -> bytes:
    """The tag of 1996 at the end of the file; ffmpeg writes it only beside a new one."""
    return b"TAG" + struct.pack("30s30s30s4s30sB", *(text.encode() for text in (title, artist, album, year, "")), 17)


def synchsafe(number: int) -> bytes:
    """A size as ID3 writes it: seven bits a byte."""
    return bytes((number >> shift) & 127 for shift in (21, 14, 7, 0))
