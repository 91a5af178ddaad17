#include "support/film.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "media/y4m.h"
#include "support/claim.h"
#include "support/scratch.h"

/* ---- Drawing: coordinates in sixteenths of a pixel ------------------------------------------- */

static uint32_t lattice(uint32_t seed, int x, int y)
{
    uint32_t hash = seed ^ (uint32_t)x * 0x9e3779b1u ^ (uint32_t)y * 0x85ebca77u;
    hash = (hash ^ hash >> 15) * 0x2c1b3c6du;
    hash = (hash ^ hash >> 12) * 0x297a2d39u;
    return (hash ^ hash >> 15) & 255;
}

/* Values at the corners of cells of 2^cell sixteenths, and between them what lies between. */
static int texture(uint32_t seed, int x, int y, int cell)
{
    int size = 1 << cell, fx = x & (size - 1), fy = y & (size - 1);
    x >>= cell;
    y >>= cell;
    int64_t above = lattice(seed, x, y) * (int64_t)(size - fx) + lattice(seed, x + 1, y) * fx;
    int64_t below =
        lattice(seed, x, y + 1) * (int64_t)(size - fx) + lattice(seed, x + 1, y + 1) * fx;
    return (int)((above * (size - fy) + below * fy) >> (2 * cell));
}

static int ground(uint32_t seed, int x, int y)
{
    return (texture(seed, x, y, 9) * 4 + texture(seed + 1, x, y, 7) * 2 +
            texture(seed + 2, x, y, 5)) /
           7;
}

/* The sample at a place of frame `time`. */
static int sample_at(uint32_t seed, int x, int y, int time, int width, int height)
{
    for (int thing = 0; thing < 3; thing++) {
        int64_t radius = (width + height) * (thing + 2);
        int64_t dx = x - (16 * width * (thing + 1) / 4 + time * (thing * 37 - 41));
        int64_t dy = y - (16 * height * (3 - thing) / 4 + time * (29 - thing * 23));
        if (dx * dx + dy * dy < radius * radius)
            return 40 + 2 * ground(seed + 10 + (uint32_t)thing, (int)dx, (int)dy) / 3;
    }
    return ground(seed, x + 19 * time, y - 7 * time);
}

static void draw_plane(uint8_t *plane, int width, int height, int scale, int time, uint32_t seed)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            plane[y * width + x] = (uint8_t)sample_at(seed, 16 * scale * x, 16 * scale * y, time,
                                                      width * scale, height * scale);
}

void film_draw(struct film *film, int width, int height, int frames, unsigned seed)
{
    int chroma_width = (width + 1) / 2, chroma_height = (height + 1) / 2;
    size_t luma = (size_t)width * (size_t)height;
    size_t chroma = (size_t)chroma_width * (size_t)chroma_height;
    uint8_t *samples = malloc(luma + 2 * chroma);
    film->picture = calloc((size_t)frames, sizeof *film->picture);
    film->frames = frames;
    CLAIM(samples && film->picture);
    struct xc_view view = {
        .width = width,
        .height = height,
        .plane = {samples, samples + luma, samples + luma + chroma},
        .stride = {width, chroma_width, chroma_width},
    };
    for (int i = 0; i < frames; i++) {
        draw_plane(samples, width, height, 1, i, seed * 100);
        draw_plane(samples + luma, chroma_width, chroma_height, 2, i, seed * 100 + 31);
        draw_plane(samples + luma + chroma, chroma_width, chroma_height, 2, i, seed * 100 + 62);
        CLAIM(xc_picture_new(&view, &film->picture[i]) == XC_OK);
    }
    free(samples);
}

/* ---- Files ----------------------------------------------------------------------------------- */

void film_read(struct film *film, const char *clip, int width, int frames)
{
    char raw[SCRATCH_PATH], count[16], scale[32];
    struct y4m_reader *reader;
    struct error error;
    scratch_path(raw, "film.y4m");
    snprintf(count, sizeof count, "%d", frames);
    snprintf(scale, sizeof scale, "scale=min(%d\\,iw):-2", width);
    const char *command[] = {"ffmpeg", "-nostdin", "-y",       "-i",      clip, "-frames:v", count,
                             "-vf",    scale,      "-pix_fmt", "yuv420p", raw,  NULL};
    CLAIM(scratch_run(command) == 0);
    film->picture = calloc((size_t)frames, sizeof *film->picture);
    film->frames = 0;
    CLAIM(film->picture && y4m_open(raw, &reader, &error) == 0);
    while (film->frames < frames && y4m_read(reader, &film->picture[film->frames], &error) == 1)
        film->frames++;
    y4m_close(reader);
    remove(raw);
    CLAIM(film->frames > 0);
}

void film_write(const struct film *film, const char *path)
{
    struct xc_view view = xc_picture_view(film->picture[0]);
    struct video_format format = {.width = view.width,
                                  .height = view.height,
                                  .frame_rate = {25, 1},
                                  .pixel_aspect = {1, 1},
                                  .colour = {2, 2, 2, false}};
    struct error error;
    FILE *stream = fopen(path, "wb");
    CLAIM(stream && y4m_write_header(stream, &format, &error) == 0);
    for (int i = 0; i < film->frames; i++)
        CLAIM(y4m_write(stream, film->picture[i], &error) == 0);
    CLAIM(fclose(stream) == 0);
}

void film_free(struct film *film)
{
    for (int i = 0; i < film->frames; i++)
        xc_picture_unref(film->picture[i]);
    free(film->picture);
    *film = (struct film){0};
}
