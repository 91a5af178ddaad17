"""Curves of bitrate over quality as a small SVG that needs nothing but a browser."""
import math

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 36, 44
COLOURS = ["#222222", "#8a8a8a", "#0b6fc2", "#1a9850", "#7b3fa0", "#d1495b"]


def steps(low, high, most):
    """Round numbers in [low, high], at most about so many."""
    rough = (high - low) / most
    unit = 10 ** math.floor(math.log10(rough))
    step = unit * next(factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    first = math.ceil(low / step)
    return [step * i for i in range(first, math.floor(high / step) + 1)]


def rates(low, high):
    """1, 2 and 5 times powers of ten in [low, high]."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [rate for power in powers for rate in (10 ** power, 2 * 10 ** power, 5 * 10 ** power)
            if low <= rate <= high]


class Plot:
    """SSIM in dB to the right, bitrate upwards on a logarithmic scale."""

    def __init__(self, points):
        qualities, bitrates = zip(*points)
        self.low, self.high = min(qualities), max(qualities)
        margin = (math.log(max(bitrates)) - math.log(min(bitrates))) / 20
        self.least = math.exp(math.log(min(bitrates)) - margin)
        self.most = math.exp(math.log(max(bitrates)) + margin)
        self.parts = []

    def x(self, quality):
        return LEFT + (quality - self.low) / (self.high - self.low) * (WIDTH - LEFT - RIGHT)

    def y(self, rate):
        share = math.log(rate / self.least) / math.log(self.most / self.least)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def text(self, x, y, words, anchor="start", colour="#222222"):
        self.parts.append(f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{colour}">{words}</text>')

    def line(self, x1, y1, x2, y2, colour):
        self.parts.append(f'<path d="M{x1:.0f} {y1:.0f}L{x2:.0f} {y2:.0f}" stroke="{colour}"/>')

    def axes(self):
        for quality in steps(self.low, self.high, 8):
            self.line(self.x(quality), TOP, self.x(quality), HEIGHT - BOTTOM, "#e4e4e4")
            self.text(self.x(quality), HEIGHT - BOTTOM + 16, f"{quality:g}", "middle")
        for rate in rates(self.least, self.most):
            self.line(LEFT, self.y(rate), WIDTH - RIGHT, self.y(rate), "#e4e4e4")
            self.text(LEFT - 6, self.y(rate) + 4, f"{rate:g}", "end")
        self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "luma SSIM, dB", "middle")
        self.text(8, TOP - 12, "kbit/s")

    def curve(self, points, colour):
        places = [f"{self.x(quality):.1f} {self.y(rate):.1f}" for quality, rate in sorted(points)]
        self.parts.append(f'<path d="M{"L".join(places)}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        self.parts += [f'<circle cx="{place.split()[0]}" cy="{place.split()[1]}" r="2.4" fill="{colour}"/>'
                       for place in places]


def write_curves(path, title, lines):
    """`lines`: {name: [(SSIM in dB, kbit/s), ...]}, in the order of the legend."""
    plot = Plot([point for points in lines.values() for point in points])
    plot.axes()
    plot.text(WIDTH / 2, TOP - 12, title, "middle")
    for i, (name, points) in enumerate(lines.items()):
        colour = COLOURS[i % len(COLOURS)]
        plot.curve(points, colour)
        plot.text(LEFT + 12, TOP + 18 + 16 * i, name, colour=colour)
    body = "\n".join(plot.parts)
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
                    'font-family="sans-serif" font-size="12" stroke-width="1">\n'
                    f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n{body}\n</svg>\n',
                    encoding="utf-8")
