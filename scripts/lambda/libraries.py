"""The libraries that Debian does not have in a static form, or has with too much in them: dav1d,
FFmpeg and curl, with the parts that excamera uses, built from Debian's sources into the sysroot."""
import os
import shutil

JOBS = str(os.cpu_count())

# Films as people have them. What can be read here can be read by FFmpeg as Debian builds it, and the
# decoders chosen are the same ones.
DEMUXERS = """
    aac ac3 aiff amr asf av1 avi caf dnxhd dv eac3 flac flv gif h261 h263 h264 hevc ivf m4v matroska mjpeg mov
    mp3 mpegps mpegts mpegtsraw mpegvideo mxf nut obu ogg rm truehd vc1 w64 wav yuv4mpegpipe"""
VIDEO_DECODERS = """
    cfhd cinepak dnxhd dvvideo ffv1 ffvhuff flv gif h261 h263 h263i h263p h264 hevc huffyuv jpeg2000 libdav1d
    magicyuv mjpeg mpeg1video mpeg2video mpeg4 mpegvideo msmpeg4v1 msmpeg4v2 msmpeg4v3 msvideo1 png prores
    qtrle r10k r210 rawvideo rv10 rv20 rv30 rv40 svq1 svq3 theora utvideo v210 v308 v408 v410 vc1 vp3 vp6 vp6a
    vp6f vp7 vp8 vp9 wmv1 wmv2 wmv3"""
AUDIO_DECODERS = """
    aac aac_latm ac3 adpcm_ima_qt adpcm_ima_wav adpcm_ms adpcm_swf alac amrnb amrwb cook dca eac3 flac mlp
    mp1 mp2 mp3float opus pcm_alaw pcm_bluray pcm_dvd pcm_f32be pcm_f32le pcm_f64be pcm_f64le
    pcm_mulaw pcm_s16be pcm_s16be_planar pcm_s16le pcm_s16le_planar pcm_s24be pcm_s24le pcm_s24le_planar
    pcm_s32be pcm_s32le pcm_s32le_planar pcm_s8 pcm_u8 qdm2 speex truehd vorbis wmapro wmav1 wmav2"""
PARSERS = """
    aac aac_latm ac3 amr av1 cook dca dnxhd flac gif h261 h263 h264 hevc jpeg2000 mjpeg mlp mpeg4video mpegaudio
    mpegvideo opus png rv30 rv40 vc1 vorbis vp3 vp8 vp9"""
FFMPEG = [
    "--disable-everything", "--disable-autodetect", "--disable-programs", "--disable-doc",
    "--disable-network", "--disable-avdevice", "--disable-avfilter", "--disable-postproc",
    "--disable-debug", "--enable-pic", "--enable-zlib", "--enable-libdav1d", "--enable-libopus",
    "--enable-protocol=file,pipe", "--enable-muxer=webm", "--enable-encoder=libopus",
    "--enable-demuxer=" + ",".join(DEMUXERS.split()),
    "--enable-decoder=" + ",".join((VIDEO_DECODERS + AUDIO_DECODERS).split()),
    "--enable-parser=" + ",".join(PARSERS.split()),
]
# HTTP and HTTPS alone. Servers are checked against the authorities that lie in the package beside
# the program: what Amazon's image has of them need not be known.
AUTHORITIES = "/var/task/ca-certificates.crt"
CURL = [
    "--disable-shared", "--enable-static", "--with-openssl", "--with-zlib=no",
    f"--with-ca-bundle={AUTHORITIES}", "--without-ca-path", "--without-brotli", "--without-zstd",
    "--without-libpsl", "--without-libidn2", "--without-nghttp2", "--without-librtmp",
    "--without-libssh2", "--without-gssapi", "--disable-ldap", "--disable-ldaps", "--disable-rtsp",
    "--disable-dict", "--disable-telnet", "--disable-tftp", "--disable-pop3", "--disable-imap",
    "--disable-smb", "--disable-smtp", "--disable-gopher", "--disable-mqtt", "--disable-ftp",
    "--disable-file", "--disable-manual", "--disable-ntlm", "--disable-unix-sockets",
    "--disable-alt-svc", "--disable-cookies", "--disable-doh", "--disable-netrc",
]
DAV1D = ["-Denable_tools=false", "-Denable_tests=false"]


class Libraries:
    """Everything is installed into the sysroot's /usr/local."""

    def __init__(self, workshop, archive, compiler):
        self.workshop = workshop
        self.archive = archive
        self.compiler = compiler

    def make(self):
        for name, recipe, make in [("dav1d", DAV1D, self.make_dav1d),
                                   ("ffmpeg", FFMPEG, self.make_ffmpeg),
                                   ("curl", CURL, self.make_curl)]:
            versions = self.archive.versions("source", name)
            self.workshop.stage(name, f"{versions} {recipe}", lambda make=make: self.unpacked(make))

    def unpacked(self, make):
        name = make.__name__.removeprefix("make_")
        source = self.archive.unpack_source(name)
        make(source)
        shutil.rmtree(source.parent)

    def make_dav1d(self, source):
        build = source / "build-static"
        self.workshop.run("meson", "setup", build, source, "--cross-file", self.compiler.cross_file,
                          "--buildtype=release", "--default-library=static", "--prefix=/usr/local",
                          "--libdir=lib", *DAV1D)
        self.workshop.run("meson", "install", "-C", build, DESTDIR=str(self.workshop.sysroot))

    def make_ffmpeg(self, source):
        triplet = self.workshop.architecture.triplet
        self.workshop.run(
            "./configure", "--prefix=/usr/local", "--target-os=linux", "--enable-cross-compile",
            f"--arch={self.workshop.architecture.family}", f"--cross-prefix={triplet}-",
            f"--cc={triplet}-gcc", "--pkg-config=pkg-config", "--pkg-config-flags=--static",
            f"--extra-cflags={' '.join(self.compiler.compile)}",
            f"--extra-ldflags={' '.join(self.compiler.link)}", *FFMPEG,
            folder=source, **self.compiler.pkg_config)
        self.make_and_install(source)

    def make_curl(self, source):
        triplet = self.workshop.architecture.triplet
        # What Debian patches are sources of generated files too; without autoconf these stay.
        self.workshop.run("find", source, "-exec", "touch", "-d", "@0", "{}", "+")
        self.workshop.run("./configure", f"--host={triplet}", "--prefix=/usr/local", *CURL,
                          folder=source, **self.compiler.pkg_config, CC=f"{triplet}-gcc",
                          CFLAGS=" ".join(["-O2", *self.compiler.compile]),
                          LDFLAGS=" ".join(self.compiler.link))
        self.make_and_install(source / "lib")
        self.make_and_install(source / "include")
        self.make_and_install(source, "install-pkgconfigDATA")

    def make_and_install(self, folder, target="install"):
        self.workshop.run("make", "-j", JOBS, f"DESTDIR={self.workshop.sysroot}", target, folder=folder)
