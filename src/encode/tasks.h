/*
 * The steps of an encode as functions from files to files: the same files in give the same bytes
 * out, wherever and whenever they run. Raw chunks are Y4M, chunks IVF, states the codec's state
 * format. Outputs appear under their names only when they are complete, and overwrite what was
 * there.
 */
#ifndef ENCODE_TASKS_H
#define ENCODE_TASKS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

#define TASKS_MOST_SCANS 100000

/* The files and settings of a task; each task says which of them it uses. */
struct task_options {
    const char *source;       /* a film: a file, or an http(s) URL */
    const char *raw;          /* the chunk's raw pictures */
    const char *chunk;        /* the chunk's compressed frames */
    const char *state;        /* the state before the chunk */
    const char *made_for;     /* the state before the chunk when it was encoded */
    const char *place;        /* where a raw chunk lies in the film: as task_plan() writes it */
    const char *segments;     /* parts of the film to measure: likewise */
    const char *chunks;       /* the list of a film that was cut beforehand: chunks.h */
    const char *out_raw;      /* written */
    const char *out_measures; /* written */
    const char *out_chunk;    /* written */
    const char *out_state;    /* written: the state after the chunk */
    /* Points of the job (util/await.h), NULL for none. */
    const char *state_point;     /* waited at for `state`, when all else was read */
    const char *out_state_point; /* waited at when `out_state` is written, before `out_chunk` is */
    int64_t start, frames; /* of the source: first frame, counted from 0, and how many, 0 for all */
    int quality;           /* [0, LEVELS_MAX], see levels.h */
    int cpu_used;          /* [0, VPX_ENCODER_FASTEST]: speed of the search, 0 the most thorough */
    bool stand_in;         /* the chunk's key frame will be replaced */

    /* Of the tasks that deal with the whole film. */
    int chunk_frames;    /* [1, PLAN_MOST_FRAMES], see plan.h */
    int batch_chunks;    /* [1, PLAN_MOST_CHUNKS] */
    bool scene_cuts;     /* a new scene begins a batch */
    int scans;           /* [1, TASKS_MOST_SCANS]: tasks that scan the film */
    int audio_bitrate;   /* bits per second; 0 for a default by the number of channels */
    const char *output;  /* written: the film; its name ends in .webm or .ivf */
    const char *summary; /* written: totals, as JSON; NULL for none */
};

/* source, start, frames -> out_raw. It is an error when the source has no frame in the range; one
 * that ends early gives fewer frames.
 * source, place -> out_raw. Decodes from the key that the place names, and leaves out what comes before it. */
int task_fetch(const struct task_options *options, struct error *error);

/* raw, quality, cpu_used, stand_in -> out_chunk. By libvpx: a key frame, then inter frames. */
int task_encode(const struct task_options *options, struct error *error);

/* [state,] chunk -> out_state. */
int task_decode(const struct task_options *options, struct error *error);

/* state, raw, chunk, quality, cpu_used -> out_chunk [, out_state, out_state_point]. Replaces the chunk's key frame
 * by an inter frame made for `state` and rebases the others behind it. The last frame refreshes all
 * three references, so that the state after it is one picture. */
int task_reencode(const struct task_options *options, struct error *error);

/* state [, state_point], raw, chunk [, made_for] -> out_chunk [, out_state, out_state_point]. Rebases a chunk without key frame,
 * made for the state `made_for`, onto `state`. Without `made_for` it is `state` itself. */
int task_rebase(const struct task_options *options, struct error *error);

/* source, start, frames, chunk_frames, batch_chunks, scene_cuts. Decodes the film once and hands it out in
 * chunks. For each chunk K from 0 on it writes, into the current folder, times-K.json, which says all that
 * task_join wants to know (times.h), place-K.json: {"position": place in its batch, "last_of_batch",
 * "pictures": how many}, and raw-K.y4m; K has six digits, or more where it must. It waits at the points
 * `needed K`, `times K`, `wanted K`, `raw K`, `place K`, then removes these files; after the last chunk, at
 * `end K+1`. Where the answer to `needed K` is "done", only times-K.json is made. */
int task_source(const struct task_options *options, struct error *error);

/* source, start, frames, chunk_frames, batch_chunks, scene_cuts, scans. Plans the chunks of a film that those who
 * encode them read for themselves: the same chunks as task_source() makes, and nothing is decoded here but what
 * has to be decoded in order. It writes, into the current folder, segments-K.json for each scan K from 0 on, and
 * waits at `segments K`; then, when it wants it, at `measures K` for measures-K.json, which task_scan() makes of
 * that. For each chunk it writes times-K.json and place-K.json, waits at `needed K`, `times K` and `place K`, and
 * after the last one at `end K+1`. All these files are removed. Where the answer to `needed K` is "done", there is no
 * place-K.json. segments.h says what is in the files. */
int task_plan(const struct task_options *options, struct error *error);

/* chunks. Hands out the places and times of a film that was cut beforehand: as task_plan(), but that nothing is
 * measured. */
int task_chunks(const struct task_options *options, struct error *error);

/* source, segments -> out_measures. */
int task_scan(const struct task_options *options, struct error *error);

/* [source,] start, frames, audio_bitrate -> output [, summary]. Makes a film of chunks, with the sound of
 * `source`. For each chunk K from 0 on, up to the one that times-K.json says is the last, it waits at the
 * points `times K` and `chunk K` for times-K.json and chunk-K.ivf, in the current folder, and removes them
 * when they are read. */
int task_join(const struct task_options *options, struct error *error);

#endif
