#include "vp8/cost.h"

#include "vp8/tables.h"

const uint16_t xc_bit_costs[256][2] = {
    {1919, 2},  {1919, 2},  {1666, 4},  {1577, 5},  {1472, 7},  {1410, 8},  {1344, 10}, {1298, 11},
    {1248, 13}, {1212, 14}, {1173, 16}, {1142, 17}, {1110, 19}, {1083, 20}, {1056, 22}, {1033, 23},
    {1008, 25}, {988, 26},  {968, 28},  {949, 29},  {930, 31},  {914, 33},  {896, 34},  {881, 36},
    {865, 37},  {851, 39},  {836, 41},  {823, 42},  {810, 44},  {798, 45},  {785, 47},  {773, 49},
    {761, 50},  {751, 52},  {740, 54},  {729, 55},  {719, 57},  {709, 58},  {700, 60},  {690, 62},
    {681, 64},  {672, 65},  {663, 67},  {655, 69},  {646, 71},  {638, 72},  {630, 74},  {622, 76},
    {614, 78},  {607, 79},  {600, 81},  {592, 83},  {585, 85},  {579, 86},  {572, 88},  {565, 90},
    {559, 92},  {552, 94},  {546, 96},  {540, 98},  {533, 99},  {528, 101}, {522, 103}, {516, 105},
    {509, 107}, {504, 109}, {499, 111}, {493, 113}, {488, 115}, {482, 117}, {477, 119}, {472, 121},
    {467, 123}, {462, 125}, {457, 127}, {452, 129}, {447, 131}, {442, 133}, {438, 135}, {433, 137},
    {428, 139}, {424, 141}, {419, 143}, {415, 145}, {411, 147}, {406, 150}, {402, 152}, {398, 154},
    {393, 156}, {389, 158}, {385, 161}, {381, 163}, {377, 165}, {373, 167}, {369, 169}, {365, 172},
    {361, 174}, {358, 176}, {354, 179}, {350, 181}, {347, 183}, {343, 186}, {339, 188}, {336, 190},
    {332, 193}, {329, 195}, {325, 198}, {322, 200}, {318, 203}, {315, 205}, {312, 208}, {308, 210},
    {305, 213}, {302, 215}, {298, 218}, {295, 220}, {292, 223}, {289, 226}, {286, 228}, {283, 231},
    {280, 234}, {277, 236}, {274, 239}, {271, 242}, {268, 245}, {265, 247}, {262, 250}, {259, 253},
    {255, 257}, {253, 259}, {250, 262}, {247, 265}, {245, 268}, {242, 271}, {239, 274}, {236, 277},
    {234, 280}, {231, 283}, {228, 286}, {226, 289}, {223, 292}, {220, 295}, {218, 299}, {215, 302},
    {213, 305}, {210, 308}, {208, 312}, {205, 315}, {203, 318}, {200, 322}, {198, 325}, {195, 329},
    {193, 332}, {190, 336}, {188, 339}, {186, 343}, {183, 347}, {181, 350}, {179, 354}, {176, 358},
    {174, 362}, {172, 365}, {169, 369}, {167, 373}, {165, 377}, {163, 381}, {160, 385}, {158, 389},
    {156, 394}, {154, 398}, {152, 402}, {150, 406}, {147, 411}, {145, 415}, {143, 419}, {141, 424},
    {139, 429}, {137, 433}, {135, 438}, {133, 442}, {131, 447}, {129, 452}, {127, 457}, {125, 462},
    {123, 467}, {121, 472}, {119, 477}, {117, 482}, {115, 488}, {113, 493}, {111, 499}, {109, 504},
    {107, 511}, {105, 516}, {103, 522}, {101, 528}, {99, 534},  {98, 540},  {96, 546},  {94, 552},
    {92, 559},  {90, 565},  {88, 572},  {86, 579},  {85, 586},  {83, 592},  {81, 600},  {79, 607},
    {77, 615},  {76, 622},  {74, 630},  {72, 638},  {70, 647},  {69, 655},  {67, 664},  {65, 672},
    {64, 681},  {62, 690},  {60, 700},  {58, 709},  {57, 719},  {55, 729},  {53, 740},  {52, 751},
    {50, 763},  {49, 773},  {47, 785},  {45, 798},  {44, 810},  {42, 823},  {40, 837},  {39, 851},
    {37, 866},  {36, 881},  {34, 897},  {33, 914},  {31, 931},  {29, 949},  {28, 968},  {26, 988},
    {25, 1011}, {23, 1033}, {22, 1057}, {20, 1083}, {19, 1111}, {17, 1142}, {16, 1174}, {14, 1212},
    {13, 1250}, {11, 1298}, {10, 1345}, {8, 1410},  {7, 1474},  {5, 1577},  {4, 1669},  {2, 1919}};

/* Extra bits have the fixed probabilities of RFC 6386 section 13.2; a sign is a bit at even odds. */
const uint8_t xc_value_tokens[CATEGORY6_BASE] = {
    1,  2,  3,  4,  5,  6,  6,  7,  7,  7,  7,  8,  8,  8,  8,  8,  8,  8,  8,  9,  9,  9,  9,
    9,  9,  9,  9,  9,  9,  9,  9,  9,  9,  9,  9,  10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10,
    10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10,
};

const uint16_t xc_value_costs[CATEGORY6_BASE] = {
    0,    256,  256,  256,  256,  432,  614,  629,  727,  847,  945,  827,  896,  942,
    1011, 1097, 1166, 1212, 1281, 1040, 1081, 1109, 1150, 1197, 1238, 1266, 1307, 1330,
    1371, 1399, 1440, 1487, 1528, 1556, 1597, 1277, 1289, 1312, 1324, 1352, 1364, 1387,
    1399, 1446, 1458, 1481, 1493, 1521, 1533, 1556, 1568, 1593, 1605, 1628, 1640, 1668,
    1680, 1703, 1715, 1762, 1774, 1797, 1809, 1837, 1849, 1872, 1884,
};

const uint16_t xc_category6_high_costs[32] = {
    423,  858,  1220, 1655, 1486, 1921, 2283, 2718, 2088, 2523, 2885, 3320, 3151, 3586, 3948, 4383,
    2088, 2523, 2885, 3320, 3151, 3586, 3948, 4383, 3753, 4188, 4550, 4985, 4816, 5251, 5613, 6048,
};

const uint16_t xc_category6_low_costs[64] = {
    1295, 1301, 1307, 1313, 1324, 1330, 1336, 1342, 1364, 1370, 1376, 1382, 1393, 1399, 1405, 1411,
    1441, 1447, 1453, 1459, 1470, 1476, 1482, 1488, 1510, 1516, 1522, 1528, 1539, 1545, 1551, 1557,
    1591, 1597, 1603, 1609, 1620, 1626, 1632, 1638, 1660, 1666, 1672, 1678, 1689, 1695, 1701, 1707,
    1737, 1743, 1749, 1755, 1766, 1772, 1778, 1784, 1806, 1812, 1818, 1824, 1835, 1841, 1847, 1853,
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

/* A magnitude of 8 or more (RFC 6386 section 17.2): ten bits, of which bit 3 comes last, and only
 * where a higher one is set, since otherwise it must be. */
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
