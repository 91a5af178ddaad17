#include "excamera/vp8.h"

const char *xc_strerror(int result)
{
    switch (result) {
    case XC_OK:
        return "success";
    case XC_EMPTY_FRAME:
        return "a frame of no bytes: nothing to decode";
    case XC_ERROR_NO_MEMORY:
        return "out of memory";
    case XC_ERROR_ARGUMENT:
        return "an argument is out of range";
    case XC_ERROR_CORRUPT:
        return "the data is not a VP8 frame";
    case XC_ERROR_TRUNCATED:
        return "the frame is truncated: its headers or partitions reach beyond its end";
    case XC_ERROR_UNSUPPORTED:
        return "the frame's bitstream version is not one that RFC 6386 defines";
    case XC_ERROR_NO_STATE:
        return "an inter frame, but no state with pictures that it could refer to";
    case XC_ERROR_SIZE:
        return "the picture's size differs from the state's";
    case XC_ERROR_STATE_FILE:
        return "the data is not a state file of this version, or is damaged";
    default:
        return "unknown result";
    }
}

const char *xc_version(void)
{
    return XC_VERSION;
}
