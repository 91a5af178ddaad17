#include "vp8/cost.h"

#include "vp8/tables.h"

const uint16_t xc_bit_costs[257] = {
    2048, 2048, 1792, 1642, 1536, 1454, 1386, 1329, 1280, 1236, 1198, 1162, 1130, 1101, 1073, 1048,
    1024, 1002, 980,  961,  942,  924,  906,  890,  874,  859,  845,  831,  817,  804,  792,  780,
    768,  757,  746,  735,  724,  714,  705,  695,  686,  676,  668,  659,  650,  642,  634,  626,
    618,  611,  603,  596,  589,  582,  575,  568,  561,  555,  548,  542,  536,  530,  524,  518,
    512,  506,  501,  495,  490,  484,  479,  474,  468,  463,  458,  453,  449,  444,  439,  434,
    430,  425,  420,  416,  412,  407,  403,  399,  394,  390,  386,  382,  378,  374,  370,  366,
    362,  358,  355,  351,  347,  343,  340,  336,  333,  329,  326,  322,  319,  315,  312,  309,
    305,  302,  299,  296,  292,  289,  286,  283,  280,  277,  274,  271,  268,  265,  262,  259,
    256,  253,  250,  247,  245,  242,  239,  236,  234,  231,  228,  226,  223,  220,  218,  215,
    212,  210,  207,  205,  202,  200,  197,  195,  193,  190,  188,  185,  183,  181,  178,  176,
    174,  171,  169,  167,  164,  162,  160,  158,  156,  153,  151,  149,  147,  145,  143,  140,
    138,  136,  134,  132,  130,  128,  126,  124,  122,  120,  118,  116,  114,  112,  110,  108,
    106,  104,  102,  101,  99,   97,   95,   93,   91,   89,   87,   86,   84,   82,   80,   78,
    77,   75,   73,   71,   70,   68,   66,   64,   63,   61,   59,   58,   56,   54,   53,   51,
    49,   48,   46,   44,   43,   41,   40,   38,   36,   35,   33,   32,   30,   28,   27,   25,
    24,   22,   21,   19,   18,   16,   15,   13,   12,   10,   9,    7,    6,    4,    3,    1,
    0,
};

/* Extra bits have the fixed probabilities of RFC 6386 section 13.2; a sign is one bit at even odds. */
const uint8_t xc_value_tokens[CATEGORY6_BASE] = {
    1,  2,  3,  4,  5,  6,  6,  7,  7,  7,  7,  8,  8,  8,  8,  8,  8,  8,  8,  9,  9,  9,  9,
    9,  9,  9,  9,  9,  9,  9,  9,  9,  9,  9,  9,  10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10,
    10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10,
};

const uint16_t xc_value_costs[CATEGORY6_BASE] = {
    0,    256,  256,  256,  256,  432,  614,  628,  727,  848,  947,  826,  895,  943,
    1012, 1097, 1166, 1214, 1283, 1038, 1079, 1107, 1148, 1196, 1237, 1265, 1306, 1330,
    1371, 1399, 1440, 1488, 1529, 1557, 1598, 1276, 1288, 1311, 1323, 1352, 1364, 1387,
    1399, 1446, 1458, 1481, 1493, 1522, 1534, 1557, 1569, 1595, 1607, 1630, 1642, 1671,
    1683, 1706, 1718, 1765, 1777, 1800, 1812, 1841, 1853, 1876, 1888,
};

const uint16_t xc_category6_high_costs[32] = {
    420,  857,  1225, 1662, 1502, 1939, 2307, 2744, 2209, 2646, 3014, 3451, 3291, 3728, 4096, 4533,
    2209, 2646, 3014, 3451, 3291, 3728, 4096, 4533, 3998, 4435, 4803, 5240, 5080, 5517, 5885, 6322,
};

const uint16_t xc_category6_low_costs[64] = {
    1294, 1300, 1306, 1312, 1323, 1329, 1335, 1341, 1363, 1369, 1375, 1381, 1392, 1398, 1404, 1410,
    1440, 1446, 1452, 1458, 1469, 1475, 1481, 1487, 1509, 1515, 1521, 1527, 1538, 1544, 1550, 1556,
    1592, 1598, 1604, 1610, 1621, 1627, 1633, 1639, 1661, 1667, 1673, 1679, 1690, 1696, 1702, 1708,
    1738, 1744, 1750, 1756, 1767, 1773, 1779, 1785, 1807, 1813, 1819, 1825, 1836, 1842, 1848, 1854,
};

static void add_leaf_costs(const int8_t *tree, const uint8_t *probabilities, int node, int so_far,
                           int *costs)
{
    for (int bit = 0; bit < 2; bit++) {
        int next = tree[node + bit];
        int cost = so_far + xc_bit_cost(probabilities[node >> 1], bit);
        if (next > 0)
            add_leaf_costs(tree, probabilities, next, cost, costs);
        else
            costs[-next] = cost;
    }
}

void xc_tree_costs(const int8_t *tree, const uint8_t *probabilities, int *costs)
{
    add_leaf_costs(tree, probabilities, 0, 0, costs);
}

/* ---- Coefficients -------------------------------------------------------------------------- */

/* The token tree of RFC 6386 section 13.2, without its root (node 0: end of block or more). */
static void costs_after_zero(const uint8_t p[ENTROPY_NODES], uint16_t cost[TOKENS])
{
    int more = xc_bit_cost(p[1], 1), large = more + xc_bit_cost(p[2], 1);
    int small = large + xc_bit_cost(p[3], 0), above2 = small + xc_bit_cost(p[4], 1);
    int category = large + xc_bit_cost(p[3], 1);
    int low = category + xc_bit_cost(p[6], 0), high = category + xc_bit_cost(p[6], 1);
    int middle = high + xc_bit_cost(p[8], 0), highest = high + xc_bit_cost(p[8], 1);

    cost[TOKEN_EOB] = 0;
    cost[TOKEN_ZERO] = (uint16_t)xc_bit_cost(p[1], 0);
    cost[TOKEN_ONE] = (uint16_t)(more + xc_bit_cost(p[2], 0));
    cost[TOKEN_TWO] = (uint16_t)(small + xc_bit_cost(p[4], 0));
    cost[TOKEN_THREE] = (uint16_t)(above2 + xc_bit_cost(p[5], 0));
    cost[TOKEN_FOUR] = (uint16_t)(above2 + xc_bit_cost(p[5], 1));
    cost[TOKEN_CATEGORY1] = (uint16_t)(low + xc_bit_cost(p[7], 0));
    cost[TOKEN_CATEGORY2] = (uint16_t)(low + xc_bit_cost(p[7], 1));
    cost[TOKEN_CATEGORY3] = (uint16_t)(middle + xc_bit_cost(p[9], 0));
    cost[TOKEN_CATEGORY4] = (uint16_t)(middle + xc_bit_cost(p[9], 1));
    cost[TOKEN_CATEGORY5] = (uint16_t)(highest + xc_bit_cost(p[10], 0));
    cost[TOKEN_CATEGORY6] = (uint16_t)(highest + xc_bit_cost(p[10], 1));
}

void xc_token_costs_init(struct xc_token_costs *costs,
                         const coefficient_probabilities probabilities)
{
    for (int type = 0; type < BLOCK_TYPES; type++) {
        for (int band = 0; band < COEFFICIENT_BANDS; band++) {
            for (int context = 0; context < COEFFICIENT_CONTEXTS; context++) {
                const uint8_t *p = probabilities[type][band][context];
                uint16_t *cost = costs->token[type][band][context];
                costs_after_zero(p, cost);
                if (context == 0)
                    costs_after_zero(p, costs->after_zero[type][band]);
                for (int token = TOKEN_ZERO; token < TOKENS; token++)
                    cost[token] = (uint16_t)(cost[token] + xc_bit_cost(p[0], 1));
                cost[TOKEN_EOB] = (uint16_t)xc_bit_cost(p[0], 0);
            }
        }
    }
}

int xc_block_rate(const struct xc_token_costs *costs, enum block_type type, int context,
                  const int16_t level[16], int end)
{
    const uint16_t(*bands)[COEFFICIENT_CONTEXTS][TOKENS] = costs->token[type];
    int position = xc_first_position(type), rate = 0;
    const uint16_t *cost = bands[xc_coefficient_bands[position]][context];
    while (position < end) {
        int magnitude = abs(level[xc_zigzag[position]]);
        rate += cost[xc_value_token(magnitude)] + xc_value_cost(magnitude);
        if (++position == 16)
            return rate;
        int band = xc_coefficient_bands[position];
        cost = magnitude ? bands[band][xc_value_context(magnitude)] : costs->after_zero[type][band];
    }
    return rate + cost[TOKEN_EOB];
}

/* ---- Motion vectors ------------------------------------------------------------------------ */

/* A magnitude of 8 or more (RFC 6386 section 17.2): ten bits, of which bit 3 comes last, and only where
 * a higher one is set, since otherwise it must be. */
static int long_magnitude_cost(const uint8_t *bits, int magnitude)
{
    int cost = 0;
    for (int i = 0; i < MV_LONG_WIDTH; i++)
        if (i != 3 || magnitude > 15)
            cost += xc_bit_cost(bits[i], magnitude >> i & 1);
    return cost;
}

static void component_costs(const uint8_t p[MV_PROBABILITIES], uint16_t *costs)
{
    uint16_t *middle = costs + MV_DELTA_LIMIT;
    int short_costs[8];
    xc_tree_costs(xc_mv_short_tree, p + MV_SHORT_TREE, short_costs);
    for (int magnitude = 0; magnitude <= MV_DELTA_LIMIT; magnitude++) {
        bool is_long = magnitude > 7;
        int cost = xc_bit_cost(p[MV_IS_SHORT], is_long);
        cost += is_long ? long_magnitude_cost(p + MV_LONG_BITS, magnitude) : short_costs[magnitude];
        middle[magnitude] = (uint16_t)(cost + (magnitude ? xc_bit_cost(p[MV_SIGN], 0) : 0));
        middle[-magnitude] = (uint16_t)(cost + (magnitude ? xc_bit_cost(p[MV_SIGN], 1) : 0));
    }
}

void xc_mv_costs_init(struct xc_mv_costs *costs, const uint8_t probabilities[2][MV_PROBABILITIES])
{
    component_costs(probabilities[0], costs->row);
    component_costs(probabilities[1], costs->column);
}
