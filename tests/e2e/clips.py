#!/usr/bin/env python3
"""Real films: frames, key frames, durations, sound, and a browser that plays the result to its end."""
import http.server
import json
import pathlib
import shutil
import subprocess
import threading

from harness import ALL, NORMAL, Case, excamera, main, make_clip, packets, probe, wait_until

PAGE = b"""<!DOCTYPE html><video muted autoplay src="film.webm"></video><script>
const video = document.querySelector("video");
const tell = (what) => fetch("/told", {method: "POST", body: JSON.stringify({
    what, time: video.currentTime, duration: video.duration, width: video.videoWidth,
    height: video.videoHeight, frames: video.getVideoPlaybackQuality().totalVideoFrames})});
video.onended = () => tell("ended");
video.onerror = () => tell("error " + video.error.message);
</script>"""


class Player(http.server.BaseHTTPRequestHandler):
    """Serves a page with the film, and takes what the page tells."""

    def do_GET(self):
        body = {"/": PAGE, "/film.webm": self.server.film}.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if self.path == "/" else "video/webm")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass  # the browser has seen enough

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.server.told.append(json.loads(self.rfile.read(length)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments):
        pass


class Clips(Case):
    def play(self, film, seconds):
        """Plays `film` in headless Chromium; returns what its page tells at the end."""
        browser = shutil.which("chromium")
        if browser is None:
            self.skipTest("no chromium")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Player)
        server.film, server.told = pathlib.Path(film).read_bytes(), []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        process = subprocess.Popen(
            [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio", "--no-first-run",
             "--disable-dev-shm-usage", "--no-proxy-server", "--disable-background-networking",
             "--autoplay-policy=no-user-gesture-required", f"--user-data-dir={self.folder}/browser",
             f"http://127.0.0.1:{server.server_port}/"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: server.told, seconds)
        finally:
            process.terminate()
            process.wait()
            server.shutdown()
            thread.join()
            server.server_close()
        return server.told[0]

    def assert_plays(self, film, width, height, duration, frames):
        told = self.play(film, 60 + 4 * duration)
        self.assertEqual(told["what"], "ended")
        self.assertEqual((told["width"], told["height"]), (width, height))
        self.assertAlmostEqual(told["time"], duration, delta=0.1)
        # A busy machine may drop frames; it must have got through nearly all of them.
        self.assertGreater(told["frames"], 0.9 * frames)

    def test_browser_plays_to_the_end(self):
        clip = make_clip(self.folder / "clip.mp4", "320x180", 75, 25)
        film = self.folder / "film.webm"
        excamera("encode", clip, "-o", film, "-N", 6, "-x", 4, "-Q")
        self.assert_plays(film, 320, 180, 3.0, 75)

    def test_live_keeps_its_durations(self):
        self.need(NORMAL)
        clip = self.clip("live.webm")
        film = self.folder / "film.webm"
        excamera("encode", clip, "-o", film, "-q", 40, "--cpu-used", 16, "-Q", timeout=1200)
        ours, theirs = packets(film), packets(clip)
        self.assertEqual(len(ours), len(theirs))
        frame = 1 / 30
        for mine, other in zip(ours, theirs):
            self.assertAlmostEqual(mine.time, other.time, delta=frame)
        for end in (0, -1):
            sound = [float(probe(path, "packet=pts_time", "a:0")[end][0]) for path in (film, clip)]
            self.assertAlmostEqual(*sound, delta=frame)
        self.assertAlmostEqual(*(float(probe(path, "format=duration")[0][0]) for path in (film, clip)),
                               delta=frame)

    def test_seeking(self):
        self.need(NORMAL)
        clip = self.clip("seeking.mp4")
        film = self.folder / "film.webm"
        excamera("encode", clip, "-o", film, "--no-scene-cut", "--cpu-used", 8, "-Q", timeout=1200)
        self.assert_same_pictures(film, 150)
        self.assert_key_frames(film, [0, 96])

    def test_sintel(self):
        self.need(ALL)
        clip = self.clip("sintel.mp4")
        film = self.folder / "film.webm"
        excamera("encode", clip, "-o", film, "-N", 6, "-x", 16, "--no-scene-cut", "-Q", timeout=3600)
        self.assert_same_pictures(film, 300)
        self.assert_key_frames(film, [0, 96, 192, 288])
        self.assert_plays(film, 1920, 818, 10.0, 300)


if __name__ == "__main__":
    main()
