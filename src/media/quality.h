/* How like two pictures are: PSNR and SSIM, as ffmpeg's `psnr` and `ssim` filters define them. */
#ifndef MEDIA_QUALITY_H
#define MEDIA_QUALITY_H

#include "excamera/vp8.h"

/* Sums over one or more pictures of one size; zero-initialise, then add. */
struct quality {
    int64_t frames;
    int width, height;
    double squared_error[3]; /* sum over all samples of Y, U, V */
    double ssim[3];          /* sum over frames of each plane's mean SSIM */
};

/* Both views must have the same size. */
void quality_add(struct quality *sum, const struct xc_view *a, const struct xc_view *b);

/* The figures of what was added, at least one picture. `plane` is 0..2, or -1 for all together. */

/* In dB, of the mean squared error over all frames; infinite for identical pictures. */
double quality_psnr(const struct quality *sum, int plane);
/* [-1, 1]: the mean over frames. */
double quality_ssim(const struct quality *sum, int plane);
/* The same in dB, -10 log10(1 - ssim); infinite for identical pictures. */
double quality_ssim_db(const struct quality *sum, int plane);

#endif
