/* Keys of an index, without the film. */
#include <stdlib.h>

#include "media/index.h"

bool input_reaches(const struct input_key *key, int64_t time_stamp, bool key_frame)
{
    if (key->packet == 0)
        return true;
    /* Where packets have no time of presentation, frames get one of decoding: frames that are shown before the
     * key frame have one behind the key packet's. */
    return key->pts != INPUT_NO_TIME ? time_stamp >= key->pts : key_frame && time_stamp >= key->dts;
}

void index_free(struct index *index)
{
    free(index->key);
}
