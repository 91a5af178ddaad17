/* An encode: the job of examples/encode.json with its variables filled in, run on this machine or handed to a
 * coordinator elsewhere. */
#ifndef CLI_ENCODE_RUN_H
#define CLI_ENCODE_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/engine_choice.h"
#include "cli/submit.h"
#include "media/input.h"
#include "util/error.h"

/* What chunks are at, for the progress line. */
enum encode_step {
    ENCODE_STEP_ENCODE,
    ENCODE_STEP_DECODE,
    ENCODE_STEP_REENCODE,
    ENCODE_STEP_REBASE,
    ENCODE_STEPS,
};

struct encode_progress {
    double seconds;         /* since the start */
    int64_t frames;         /* of chunks that are done */
    int64_t before;         /* of those, frames that were done when this run started */
    int64_t total;          /* in all, an estimate; 0 where unknown */
    int step[ENCODE_STEPS]; /* chunks in each step */
    int waiting;            /* other chunks that are under way */
};

struct encode_options {
    const char *
        input; /* a film, s3://BUCKET/KEY, "-" for Y4M on standard input; or what `excamera split` has made:
                           a folder, or s3://BUCKET/PREFIX/ */
    const char *output; /* ends in .webm or .ivf; s3:// too; or "-" for WebM on standard output */
    bool overwrite;
    bool resume;       /* go on where an earlier run to the same output was left */
    const char *keep;  /* a folder for all intermediate files, which stay there; or NULL */
    const char *trace; /* as struct local_options has it */
    bool verbose;      /* tells of workers that come to grief, on standard error */
    int chunk_frames, batch_chunks;
    int quality, cpu_used;
    int64_t start, frames; /* of the film: first frame from 0; at most, 0 for all */
    bool scene_cuts, sound;
    bool cut_chosen;   /* how the film is cut was said, and is not as ever */
    int audio_bitrate; /* bits per second; 0 for a default by the number of channels */
    int workers,
        slots; /* worker processes, and tasks that each runs at once; elsewhere 0: as many as
                           the coordinator gives */
    const struct submit_access *access; /* of a coordinator elsewhere; NULL: on this machine */
    const char
        *store; /* for that, as struct submit_options has it; on this machine a remote place for
                          the objects, or NULL */
    const struct engine_choice_line *engine; /* of what starts workers, where there is no access */
    int spare;
    uint64_t time_ms; /* that the encode may take; 0: no limit */
    double cost;      /* that it may have, by the price of workers; 0: no limit */
    /* Called a few times a second; may be NULL. */
    void (*progress)(void *opaque, const struct encode_progress *progress);
    void *opaque;
};

struct encode_result {
    struct input_info input;
    int64_t frames, key_frames, chunks, batches;
    int64_t unentered;   /* frames that no worker could go to, and one has decoded in order */
    int64_t bytes;       /* of the output; of the video alone on standard output */
    double film_seconds; /* that the video lasts */
    double seconds;      /* that it took */
    double cost;         /* by the price of its workers; 0 where there is none */
};

/* Runs to the end. -ECANCELED after SIGINT, SIGTERM or SIGHUP, which are handled meanwhile. What was made
 * until a failure is kept for `resume`, where that can be of use; elsewhere the job goes on. The error says
 * so. */
int encode_run(const struct encode_options *options, struct encode_result *result,
               struct error *error);

#endif
