#include "encode/segments.h"

#include <errno.h>
#include <stdlib.h>

#include "encode/files.h"

static json_t *pack_time(int64_t time)
{
    return time == INPUT_NO_TIME ? json_null() : json_integer(time);
}

static json_t *pack_key(const struct input_key *key)
{
    return json_pack("[I, o, o, I, i]", (json_int_t)key->packet, pack_time(key->pts),
                     pack_time(key->dts), (json_int_t)key->position, key->size);
}

static bool unpack_time(const json_t *json, int64_t *time)
{
    *time = json_is_null(json) ? INPUT_NO_TIME : json_integer_value(json);
    return json_is_null(json) || json_is_integer(json);
}

static bool unpack_key(json_t *json, struct input_key *key)
{
    json_int_t packet, position;
    json_t *pts, *dts;
    if (json_unpack(json, "[I, o, o, I, i!]", &packet, &pts, &dts, &position, &key->size) < 0 ||
        packet < 0 || !unpack_time(pts, &key->pts) || !unpack_time(dts, &key->dts))
        return false;
    key->packet = packet;
    key->position = position;
    return true;
}

static int broken(const char *path, struct error *error)
{
    return error_set(error, -EINVAL, "%s is not what the job's plan says it is", path);
}

static json_t *load(const char *path, struct error *error)
{
    json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    if (json == NULL)
        broken(path, error);
    return json;
}

/* ---- What to scan ---------------------------------------------------------------------------- */

int segments_write(const char *path, const struct input_key *key, int keys, bool to_end,
                   struct error *error)
{
    json_t *list = json_array();
    for (int i = 0; i < keys && list != NULL; i++) {
        if (json_array_append_new(list, pack_key(&key[i])) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return files_write_json(path, json_pack("{s:b, s:o}", "to_end", to_end, "keys", list), error);
}

static int unpack_keys(json_t *json, struct index *index)
{
    int to_end;
    json_t *list;
    if (json_unpack(json, "{s:b, s:o !}", "to_end", &to_end, "keys", &list) < 0 ||
        !json_is_array(list))
        return -EINVAL;
    size_t keys = json_array_size(list);
    index->key = calloc(keys > 0 ? keys : 1, sizeof *index->key);
    if (index->key == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < keys; i++)
        if (!unpack_key(json_array_get(list, i), &index->key[i]))
            return -EINVAL;
    index->keys = (int)keys;
    index->whole = to_end;
    return 0;
}

int segments_read(const char *path, struct index *index, struct error *error)
{
    json_t *json = load(path, error);
    if (json == NULL)
        return error->code;
    int code = unpack_keys(json, index);
    json_decref(json);
    return code < 0 ? broken(path, error) : 0;
}

/* ---- What was found -------------------------------------------------------------------------- */

int segments_write_measures(const char *path, const struct measure *measure, int count,
                            struct error *error)
{
    json_t *list = json_array();
    for (int i = 0; i < count && list != NULL; i++) {
        if (json_array_append_new(list, measure_pack(&measure[i])) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return files_write_json(path, json_pack("{s:o}", "measures", list), error);
}

int segments_read_measures(const char *path, struct measure *measure, int count,
                           struct error *error)
{
    json_t *json = load(path, error);
    if (json == NULL)
        return error->code;
    const json_t *list = json_object_get(json, "measures");
    int code = json_array_size(list) == (size_t)count ? 0 : -EINVAL;
    for (int i = 0; i < count && code == 0; i++)
        code = measure_unpack(json_array_get(list, (size_t)i), &measure[i]);
    json_decref(json);
    return code < 0 ? broken(path, error) : 0;
}

/* ---- A chunk's place ------------------------------------------------------------------------- */

int segments_write_place(const char *path, const struct plan_chunk *plan,
                         const struct segments_place *place, struct error *error)
{
    json_t *json = json_pack("{s:i, s:b, s:i, s:I, s:o}", "position", plan->index, "last_of_batch",
                             plan->last, "pictures", place->pictures, "first",
                             (json_int_t)place->first, "key", pack_key(&place->key));
    return files_write_json(path, json, error);
}

int segments_read_place(const char *path, struct segments_place *place, struct error *error)
{
    json_int_t first = 0;
    json_t *key = NULL, *json = load(path, error);
    if (json == NULL)
        return error->code;
    bool valid = json_unpack(json, "{s:i, s:I, s:o}", "pictures", &place->pictures, "first", &first,
                             "key", &key) == 0 &&
                 place->pictures > 0 && unpack_key(key, &place->key);
    place->first = first;
    json_decref(json);
    return valid ? 0 : broken(path, error);
}
