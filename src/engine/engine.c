#include "engine/engine.h"

int engine_start(struct engine *engine, uint32_t worker, const char *document, struct error *error)
{
    return engine->start(engine, worker, document, error);
}

void engine_kill(struct engine *engine, uint32_t worker)
{
    engine->kill(engine, worker);
}

void engine_stop(struct engine *engine)
{
    engine->stop(engine);
}

void engine_close(struct engine *engine, void (*closed)(void *opaque), void *opaque)
{
    engine->close(engine, closed, opaque);
}
