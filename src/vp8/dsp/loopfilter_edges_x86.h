/*
 * The loop filters' arithmetic for x86 (RFC 6386 section 15), once for registers of 16 samples and once for
 * those of 32. To be included with
 *     LANES          the register
 *     OP(name)       an intrinsic on it, as in OP(adds_epu8)
 *     OP_BITS(name)  one on it as plain bits, as in OP_BITS(and)
 *     SIZED(name)    the name of a function here
 * defined, which it undefines.
 */

/* Limits of an edge, in each lane. */
struct SIZED(thresholds) {
    LANES edge, interior, high_variance;
};

XC_INLINE struct SIZED(thresholds)
    SIZED(thresholds)(const struct filter_limits *limits, uint8_t edge)
{
    return (struct SIZED(thresholds)){
        .edge = OP(set1_epi8)((char)edge),
        .interior = OP(set1_epi8)((char)limits->interior),
        .high_variance = OP(set1_epi8)((char)limits->high_variance),
    };
}

/* ---- Arithmetic on lanes ------------------------------------------------------------------- */

XC_INLINE LANES SIZED(difference)(LANES a, LANES b)
{
    return OP_BITS(or)(OP(subs_epu8)(a, b), OP(subs_epu8)(b, a));
}

/* All ones where a <= b, else zeros. */
XC_INLINE LANES SIZED(at_most)(LANES a, LANES b)
{
    return OP(cmpeq_epi8)(OP(subs_epu8)(a, b), OP_BITS(setzero)());
}

XC_INLINE LANES SIZED(flip_sign)(LANES a)
{
    return OP_BITS(xor)(a, OP(set1_epi8)((char)0x80));
}

/* Signed value >> 3, from one that was made unsigned by adding 128; the result has 16 added. */
XC_INLINE LANES SIZED(biased_eighth)(LANES a)
{
    return OP_BITS(and)(OP(srli_epi16)(a, 3), OP(set1_epi8)(31));
}

/* v[0..3] are p3 .. p0, v[4..7] are q0 .. q3. */
XC_INLINE LANES SIZED(within_edge_limit)(const LANES v[8], LANES limit)
{
    LANES step = SIZED(difference)(v[3], v[4]);
    LANES half = OP(srli_epi16)(OP_BITS(and)(SIZED(difference)(v[2], v[5]), OP(set1_epi8)(-2)), 1);
    return SIZED(at_most)(OP(adds_epu8)(OP(adds_epu8)(step, step), half), limit);
}

/* Where the normal filters apply, and where the variance beside the edge is high. */
XC_INLINE LANES SIZED(normal_mask)(const LANES v[8], const struct SIZED(thresholds) * limits,
                                   LANES *high)
{
    LANES near = OP(max_epu8)(SIZED(difference)(v[2], v[3]), SIZED(difference)(v[5], v[4]));
    LANES far =
        OP(max_epu8)(OP(max_epu8)(SIZED(difference)(v[0], v[1]), SIZED(difference)(v[1], v[2])),
                     OP(max_epu8)(SIZED(difference)(v[7], v[6]), SIZED(difference)(v[6], v[5])));
    *high = OP_BITS(xor)(SIZED(at_most)(near, limits->high_variance), OP(set1_epi8)(-1));
    return OP_BITS(and)(SIZED(at_most)(OP(max_epu8)(near, far), limits->interior),
                        SIZED(within_edge_limit)(v, limits->edge));
}

/* clamp(outer + 3 * (q0 - p0)); the steps' clamping changes nothing, as all go one way. */
XC_INLINE LANES SIZED(filter_value)(LANES outer, LANES p0, LANES q0)
{
    LANES step = OP(subs_epi8)(q0, p0);
    return OP(adds_epi8)(OP(adds_epi8)(OP(adds_epi8)(outer, step), step), step);
}

/* Section 15.2's common_adjust on p0 and q0; returns how far q0 moved, with 16 added. */
XC_INLINE LANES SIZED(adjust)(LANES value, LANES *p0, LANES *q0)
{
    LANES bias = OP(set1_epi8)(16), positive = SIZED(flip_sign)(value);
    LANES down = SIZED(biased_eighth)(OP(adds_epu8)(positive, OP(set1_epi8)(4)));
    LANES up = SIZED(biased_eighth)(OP(adds_epu8)(positive, OP(set1_epi8)(3)));
    *q0 = OP(subs_epi8)(*q0, OP(sub_epi8)(down, bias));
    *p0 = OP(adds_epi8)(*p0, OP(sub_epi8)(up, bias));
    return down;
}

XC_INLINE void SIZED(simple_edge)(LANES v[8], const struct SIZED(thresholds) * limits)
{
    LANES mask = SIZED(within_edge_limit)(v, limits->edge);
    LANES p0 = SIZED(flip_sign)(v[3]), q0 = SIZED(flip_sign)(v[4]);
    LANES outer = OP(subs_epi8)(SIZED(flip_sign)(v[2]), SIZED(flip_sign)(v[5]));
    SIZED(adjust)(OP_BITS(and)(SIZED(filter_value)(outer, p0, q0), mask), &p0, &q0);
    v[3] = SIZED(flip_sign)(p0);
    v[4] = SIZED(flip_sign)(q0);
}

/* Section 15.3's subblock_filter. */
XC_INLINE void SIZED(subblock_edge)(LANES v[8], const struct SIZED(thresholds) * limits)
{
    LANES high, mask = SIZED(normal_mask)(v, limits, &high);
    LANES p1 = SIZED(flip_sign)(v[2]), p0 = SIZED(flip_sign)(v[3]);
    LANES q0 = SIZED(flip_sign)(v[4]), q1 = SIZED(flip_sign)(v[5]);
    LANES outer = OP_BITS(and)(OP(subs_epi8)(p1, q1), high);
    LANES down = SIZED(adjust)(OP_BITS(and)(SIZED(filter_value)(outer, p0, q0), mask), &p0, &q0);
    LANES half = OP(sub_epi8)(OP(avg_epu8)(down, OP_BITS(setzero)()), OP(set1_epi8)(8));
    half = OP_BITS(andnot)(high, half);
    v[2] = SIZED(flip_sign)(OP(adds_epi8)(p1, half));
    v[3] = SIZED(flip_sign)(p0);
    v[4] = SIZED(flip_sign)(q0);
    v[5] = SIZED(flip_sign)(OP(subs_epi8)(q1, half));
}

/* Moves p and q towards each other by `low` and `high` >> 7, 16 bits for the lanes' halves. */
XC_INLINE void SIZED(move)(LANES low, LANES high, LANES *p, LANES *q)
{
    LANES by = OP(packs_epi16)(OP(srai_epi16)(low, 7), OP(srai_epi16)(high, 7));
    *p = SIZED(flip_sign)(OP(adds_epi8)(*p, by));
    *q = SIZED(flip_sign)(OP(subs_epi8)(*q, by));
}

/* Section 15.3's MBfilter. */
XC_INLINE void SIZED(macroblock_edge)(LANES v[8], const struct SIZED(thresholds) * limits)
{
    LANES high, mask = SIZED(normal_mask)(v, limits, &high), zero = OP_BITS(setzero)();
    for (int i = 1; i < 7; i++)
        v[i] = SIZED(flip_sign)(v[i]);
    LANES value = SIZED(filter_value)(OP(subs_epi8)(v[2], v[5]), v[3], v[4]);
    value = OP_BITS(and)(value, mask);
    SIZED(adjust)(OP_BITS(and)(value, high), &v[3], &v[4]);
    LANES wide = OP_BITS(andnot)(high, value);
    /* 9 times the value: the upper halves of (256 * value) * (256 * 9). */
    LANES low9 = OP(mulhi_epi16)(OP(unpacklo_epi8)(zero, wide), OP(set1_epi16)(9 << 8));
    LANES high9 = OP(mulhi_epi16)(OP(unpackhi_epi8)(zero, wide), OP(set1_epi16)(9 << 8));
    LANES low = OP(add_epi16)(low9, OP(set1_epi16)(63));
    LANES upper = OP(add_epi16)(high9, OP(set1_epi16)(63));
    for (int i = 0; i < 3; i++) {
        SIZED(move)(low, upper, &v[1 + i], &v[6 - i]);
        low = OP(add_epi16)(low, low9);
        upper = OP(add_epi16)(upper, high9);
    }
}

/* ---- Turning rows into columns ------------------------------------------------------------- */

/* Merges register i with register i + count / 2, byte by byte, for each i below count / 2: a shuffle
 * of all bytes, a few of which in a row transpose the block that the registers hold. */
XC_INLINE void SIZED(interleave)(LANES *v, int count)
{
    LANES t[16];
#pragma GCC unroll 8
    for (int i = 0; i < count / 2; i++) {
        t[2 * i] = OP(unpacklo_epi8)(v[i], v[i + count / 2]);
        t[2 * i + 1] = OP(unpackhi_epi8)(v[i], v[i + count / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < count; i++)
        v[i] = t[i]; // cppcheck-suppress uninitvar
}

#undef LANES
#undef OP
#undef OP_BITS
#undef SIZED
