/*
 * Job files: what is refused, and with which words. Each case changes one thing in a job that is right.
 * With the argument `cases` the changed jobs are printed instead, a line of JSON each, for job_schema.py
 * to compare the format's schema with the loader.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "mu/actor.h"
#include "mu/job_file.h"

static const char base[] =
    "{\n"
    "  \"format\": 1,\n"
    "  \"job\": \"base\",\n"
    "  \"about\": \"all there is\",\n"
    "  \"variables\": {\"text\": \"a\", \"size\": 3, \"flag\": false, \"limit\": 9}, \"progress\": "
    "\"limit\",\n"
    "  \"inputs\": [{\"file\": \"/in/${text}\", \"key\": \"in/${text}\"}],\n"
    "  \"outputs\": [{\"file\": \"out\", \"key\": \"out\"}],\n"
    "  \"actors\": [\n"
    "    {\"name\": \"head\", \"variables\": {\"text\": \"b\"}},\n"
    "    {\"family\": \"part\", \"count\": \"${size}\"},\n"
    "    {\"family\": \"rest\", \"count\": \"open\"}\n"
    "  ],\n"
    "  \"machine\": {\n"
    "    \"start\": [\n"
    "      {\"if\": {\"variable\": \"actor\", \"is\": \"head\"}, \"to\": \"fetch\"},\n"
    "      {\"if\": {\"all\": [{\"variable\": \"family\", \"is\": \"part\"},\n"
    "                      {\"not\": {\"any\": [{\"variable\": \"index\", \"more\": 7},\n"
    "                                       {\"variable\": \"flag\", \"is\": true}]}}]},\n"
    "       \"to\": \"take\"},\n"
    "      {\"to\": \"end\"}\n"
    "    ],\n"
    "    \"states\": {\n"
    "      \"fetch\": {\n"
    "        \"get\": {\"key\": \"in/a\", \"file\": \"in\"}, \"timeout\": 2.5, \"retries\": 1,\n"
    "        \"on\": {\"ok\": \"make\", \"failed\": \"end\", \"timeout\": \"end\"}},\n"
    "      \"make\": {\n"
    "        \"run\": {\"argv\": [\"make\", \"--price\", \"$$5\", \"${text}\"],\n"
    "                \"points\": {\"deal\": {\"send\": {\"to\": \"part-${number}\", \"name\": "
    "\"hand\",\n"
    "                                         \"file\": \"hand-${number}\"}},\n"
    "                           \"keep\": {\"put\": {\"file\": \"kept\", \"key\": "
    "\"kept/${number}\",\n"
    "                                            \"for\": \"part-${number}\"}},\n"
    "                           \"worth\": {\"needed\": {\"actor\": \"part-${number}\"}}, "
    "\"end\": {\"close\": {\"family\": \"rest\"}}}},\n"
    "        \"timeout\": \"${limit}\", \"priority\": 5,\n"
    "        \"on\": {\"ok\": \"read\"}},\n"
    "      \"read\": {\n"
    "        \"set\": {\"size\": {\"file\": \"facts\"}, \"flag\": {\"file\": \"facts\"}},\n"
    "        \"on\": {\"ok\": \"count\"}},\n"
    "      \"count\": {\n"
    "        \"set\": {\"size\": {\"add\": 1}, \"text\": \"${actor}!\"},\n"
    "        \"on\": {\"ok\": [{\"if\": {\"variable\": \"size\", \"less\": 100}, \"to\": "
    "\"make\"},\n"
    "                      {\"to\": \"end\"}]}},\n"
    "      \"take\": {\n"
    "        \"receive\": {\"from\": \"head\", \"name\": \"hand\", \"file\": \"hand\"},\n"
    "        \"on\": {\"ok\": \"give\"}},\n"
    "      \"give\": {\n"
    "        \"send\": {\"to\": \"${first}\", \"name\": \"round-${text}\", \"text\": \"\"},\n"
    "        \"on\": {\"ok\": \"keep\"}},\n"
    "      \"keep\": {\n"
    "        \"put\": {\"file\": \"hand\", \"key\": \"hands/${actor}\"},\n"
    "        \"on\": {\"ok\": \"end\"}},\n"
    "      \"end\": {\"quit\": {}}\n"
    "    }\n"
    "  }\n"
    "}\n";

struct change {
    const char *what;
    const char *old, *new; /* the first `old` becomes `new` */
    const char *error;     /* is part of the message */
    bool in_schema;        /* the schema cannot tell */
};

enum { SHAPE = false, MEANING = true };

static const struct change changes[] = {
    /* The text as such. */
    {"no JSON", "{\n", "", "base:1: ", SHAPE},
    {"cut off", "      \"end\": {\"quit\": {}}\n    }\n  }\n}\n", "", "base:51: ", SHAPE},
    {"repeated member", "\"about\"", "\"job\"", "base:4: duplicate object key", SHAPE},
    {"repeated state", "\"count\": {\n", "\"read\": {\n", "duplicate object key", SHAPE},
    {"a zero byte", "all there is", "all\\u0000", "base:4: ", SHAPE},
    {"no UTF-8", "all there is", "all\xff", "base:4: ", SHAPE},
    {"more behind the end", "  }\n}\n", "  }\n}\n{}", "base:55: end of file expected", SHAPE},
    {"a large number", "\"size\": 3", "\"size\": 99999999999999999999", "base:5: too big integer",
     SHAPE},

    /* The head. */
    {"other format", "\"format\": 1", "\"format\": 2", "base:2: format: is not in [1, 1]", SHAPE},
    {"no format", "\"format\": 1,", "", "base:1: format: is missing", SHAPE},
    {"no name", "\"job\": \"base\",", "", "base:1: job: is missing", SHAPE},
    {"bad name", "\"base\"", "\"a b\"", "base:3: job: is no name", SHAPE},
    {"about no string", "\"all there is\"", "7", "base:4: about: is not a string", SHAPE},
    {"unknown member", "\"about\"", "\"abuot\"",
     "base:4: abuot: is not expected here, only 'format'", SHAPE},

    /* Variables. */
    {"null variable", "\"text\": \"a\"", "\"text\": null", "base:5: variables.text: is neither",
     SHAPE},
    {"real variable", "\"size\": 3", "\"size\": 3.5", "base:5: variables.size: is neither", SHAPE},
    {"built-in's name", "\"size\": 3", "\"size\": 3, \"index\": 1",
     "base:5: variables.index: is the name of a built-in", MEANING},
    {"capital variable", "\"size\": 3", "\"size\": 3, \"Size\": 1",
     "base:5: variables.Size: is no name", SHAPE},

    /* Progress. */
    {"progress unknown", "\"progress\": \"limit\"", "\"progress\": \"limits\"",
     "base:5: progress: there is no variable 'limits'", MEANING},
    {"progress of another type", "\"progress\": \"limit\"", "\"progress\": \"text\"",
     "base:5: progress: 'text' is no integer that the job declares", MEANING},
    {"progress built in", "\"progress\": \"limit\"", "\"progress\": \"index\"",
     "base:5: progress: 'index' is no integer", MEANING},
    {"progress no string", "\"progress\": \"limit\"", "\"progress\": 7",
     "base:5: progress: is not a string", SHAPE},

    /* Inputs and outputs. */
    {"input without key", ", \"key\": \"in/${text}\"", "", "base:6: inputs[0].key: is missing",
     SHAPE},
    {"input key escapes", "\"key\": \"in/${text}\"", "\"key\": \"../${text}\"",
     "inputs[0].key: '../a' is no key", MEANING},
    {"input of an actor", "/in/${text}", "${actor}", "inputs[0].file: a built-in variable",
     MEANING},

    /* Actors. */
    {"nobody",
     "{\"name\": \"head\", \"variables\": {\"text\": \"b\"}},\n    {\"family\": \"part\", "
     "\"count\": \"${size}\"},\n    {\"family\": \"rest\", \"count\": \"open\"}\n",
     "", "base:8: actors: has 0 elements", SHAPE},
    {"override unknown", "{\"text\": \"b\"}", "{\"tent\": \"b\"}",
     "base:9: actors[0].variables.tent: the job declares no variable 'tent'", MEANING},
    {"override built in", "{\"text\": \"b\"}", "{\"index\": 7}",
     "actors[0].variables.index: the job declares no", MEANING},
    {"override of another type", "{\"text\": \"b\"}", "{\"text\": 7}",
     "actors[0].variables.text: is not a string", MEANING},
    {"count of another type", "\"count\": \"${size}\"", "\"count\": \"${text}\"",
     "base:10: actors[1].count: is neither an integer nor '${variable}' of one", MEANING},
    {"count of words", "\"count\": \"${size}\"", "\"count\": \"many\"",
     "actors[1].count: is neither", SHAPE},
    {"no members", "\"size\": 3", "\"size\": 0", "base:10: actors[1].count: 0 members", MEANING},
    {"too many", "\"size\": 3", "\"size\": 10000001", "10000001 members are not in", MEANING},
    {"too many in all", "\"size\": 3", "\"size\": 9999999", "base:8: actors: are 10000001 in all",
     MEANING},
    {"a family without count", ", \"count\": \"open\"", "", "base:11: actors[2].count: is missing",
     SHAPE},
    {"a count without family", "\"variables\": {\"text\": \"b\"}", "\"count\": 2",
     "actors[0].count: is not expected here", SHAPE},
    {"name and family", "{\"name\": \"head\",", "{\"name\": \"head\", \"family\": \"head\",",
     "is not expected here", SHAPE},
    {"same names", "\"family\": \"rest\"", "\"family\": \"part\"",
     "base:11: actors[2]: 'part' and 'part' name the same actors", MEANING},
    {"a member's name", "\"name\": \"head\"", "\"name\": \"part-000001\"",
     "base:10: actors[1]: 'part-000001' and 'part' name the same actors", MEANING},
    {"an open family's", "\"name\": \"head\"", "\"name\": \"rest-9000000\"",
     "base:11: actors[2]: 'rest-9000000' and 'rest' name the same actors", MEANING},
    {"nobody closes", "\"end\": {\"close\": {\"family\": \"rest\"}}",
     "\"end\": {\"get\": {\"key\": "
     "\"a\", \"file\": \"b\"}}",
     "base:11: actors[2]: no point of a run closes the open family 'rest'", MEANING},

    /* States. */
    {"no machine", "\"machine\": {", "\"machines\": {", "base:13: machines: is not expected",
     SHAPE},
    {"no states", "\"states\": {", "\"stats\": {", "base:22: machine.stats: is not expected",
     SHAPE},
    {"bad name of a state", "\"keep\": {\n", "\"k p\": {\n", "machine.states.k p: is no name",
     SHAPE},
    {"no request", "\"get\": {\"key\": \"in/a\", \"file\": \"in\"}, ", "",
     "base:23: machine.states.fetch: has no request", SHAPE},
    {"two requests", "\"get\": {", "\"quit\": {}, \"get\": {",
     "base:24: machine.states.fetch.quit: is a second request beside 'get'", SHAPE},
    {"unknown request", "\"get\": {", "\"fetch\": {",
     "base:24: machine.states.fetch.fetch: is not expected here, only 'get', 'put'", SHAPE},
    {"state no object", "\"end\": {\"quit\": {}}", "\"end\": 1",
     "base:51: machine.states.end: is not an object", SHAPE},
    {"quit with outcomes", "\"quit\": {}", "\"quit\": {}, \"on\": {}",
     "machine.states.end.on: is not expected here", SHAPE},
    {"quit with members", "\"quit\": {}", "\"quit\": {\"now\": true}",
     "machine.states.end.quit.now: is not expected here", SHAPE},
    {"long time", "\"timeout\": 2.5", "\"timeout\": 1e8", "fetch.timeout: is not in", SHAPE},
    {"no time", "\"timeout\": 2.5", "\"timeout\": 0", "fetch.timeout: is not in", SHAPE},
    {"time of another type", "\"timeout\": \"${limit}\"", "\"timeout\": \"${text}\"",
     "base:33: machine.states.make.timeout: is neither an integer", MEANING},
    {"time's value", "\"limit\": 9", "\"limit\": 0",
     "base:26: machine.states.make: a time limit of 0 seconds", MEANING},
    {"retries", "\"retries\": 1", "\"retries\": 101", "fetch.retries: is not in [0, 100]", SHAPE},
    {"priority", "\"priority\": 5", "\"priority\": -1", "make.priority: is not in", SHAPE},
    {"time limit of a set", "\"text\": \"${actor}!\"},\n", "\"text\": \"x\"}, \"timeout\": 1,\n",
     "base:39: machine.states.count.timeout: is not expected here", SHAPE},

    /* Outcomes. */
    {"no outcomes",
     "\"timeout\": \"${limit}\", \"priority\": 5,\n        \"on\": {\"ok\": \"read\"}",
     "\"timeout\": \"${limit}\"", "base:26: machine.states.make.on: is missing", SHAPE},
    {"no ok", "\"on\": {\"ok\": \"read\"}", "\"on\": {\"failed\": \"read\"}",
     "base:34: machine.states.make.on.ok: is missing", SHAPE},
    {"unknown outcome", "\"on\": {\"ok\": \"read\"}",
     "\"on\": {\"ok\": \"read\", \"fail\": \"read\"}",
     "make.on.fail: is not expected here, only 'ok', 'failed', 'timeout'", SHAPE},
    {"unknown state", "\"ok\": \"read\"", "\"ok\": \"raed\"",
     "base:34: machine.states.make.on.ok: there is no state 'raed'", MEANING},
    {"unknown state in a branch", "{\"to\": \"end\"}", "{\"to\": \"ned\"}",
     "base:20: machine.start[2].to: there is no state 'ned'", MEANING},
    {"waits for ever", "\"on\": {\"ok\": \"give\"}",
     "\"on\": {\"ok\": \"give\", \"timeout\": \"end\"}",
     "machine.states.take.on.timeout: the state has no 'timeout'", MEANING},
    {"a set that fails", "\"on\": {\"ok\": [{", "\"on\": {\"failed\": \"end\", \"ok\": [{",
     "machine.states.count.on.failed: is not expected here, only 'ok'", SHAPE},
    {"unreachable", "\"on\": {\"ok\": \"give\"}", "\"on\": {\"ok\": \"keep\"}",
     "base:45: machine.states.give: nothing leads to this state", MEANING},
    {"never ends", "\"on\": {\"ok\": \"end\"}", "\"on\": {\"ok\": \"keep\"}",
     "base:42: machine.states.take: no way leads from this state to a 'quit'", MEANING},
    {"circle", "\"less\": 100}, \"to\": \"make\"", "\"less\": 100}, \"to\": \"count\"",
     "base:38: machine.states.count: leads back to itself", MEANING},
    {"no branches", "\"ok\": \"read\"", "\"ok\": []", "make.on.ok: has 0 elements", SHAPE},
    {"next of another type", "\"ok\": \"read\"", "\"ok\": 7", "make.on.ok: is not an array", SHAPE},

    /* Branches and guards. */
    {"branch without guard",
     "{\"if\": {\"variable\": \"actor\", \"is\": \"head\"}, \"to\": \"fetch\"}",
     "{\"to\": \"fetch\"}", "base:15: machine.start[0]: only the last branch has no 'if'", MEANING},
    {"guard on the last", "{\"to\": \"end\"}",
     "{\"if\": {\"variable\": \"flag\", \"is\": true}, \"to\": \"end\"}",
     "base:20: machine.start[2]: the last branch", MEANING},
    {"branch without state", ", \"to\": \"fetch\"}", "}",
     "base:15: machine.start[0].to: is missing", SHAPE},
    {"unknown variable", "{\"variable\": \"actor\", ", "{\"variable\": \"acter\", ",
     "base:15: machine.start[0].if.variable: there is no variable 'acter'", MEANING},
    {"guard without variable", "{\"variable\": \"actor\", \"is\": \"head\"}", "{\"is\": \"head\"}",
     "base:15: machine.start[0].if: needs 'variable' and one comparison", SHAPE},
    {"guard without comparison", "{\"variable\": \"actor\", \"is\": \"head\"}",
     "{\"variable\": \"actor\"}", "base:15: machine.start[0].if: needs", SHAPE},
    {"unknown comparison", "{\"variable\": \"actor\", \"is\": \"head\"}",
     "{\"variable\": \"actor\", \"was\": \"head\"}", "machine.start[0].if.was: is not expected",
     SHAPE},
    {"comparison of another type", "\"is\": \"head\"}", "\"is\": 3}",
     "base:15: machine.start[0].if.is: is not a string", MEANING},
    {"order of strings", "\"is\": \"head\"}", "\"less\": 3}",
     "machine.start[0].if.less: the variable is not an integer", MEANING},
    {"boolean and string", "\"is\": true", "\"is\": \"${text}\"", "is neither a boolean nor",
     MEANING},
    {"empty all", "\"all\": [{\"variable\": \"family\", \"is\": \"part\"},",
     "\"all\": [], \"x\": [", "has more than one of", SHAPE},
    {"number in a guard", "\"variable\": \"index\"", "\"variable\": \"number\"",
     "base:17: machine.start[1].if.all[1].not.any[0].variable: 'number' is known only", MEANING},

    /* Requests. */
    {"get without file", ", \"file\": \"in\"}", "}", "fetch.get: needs one of 'file' and 'url'",
     SHAPE},
    {"get of both", "\"file\": \"in\"}", "\"file\": \"in\", \"url\": \"at\"}",
     "fetch.get: needs one of 'file' and 'url'", SHAPE},
    {"url leaves the folder", "\"file\": \"in\"}", "\"url\": \"../in\"}",
     "base:23: machine.states.fetch: '../in' is no file of the scratch folder", MEANING},
    {"file no string", "\"file\": \"in\"}", "\"file\": 3}", "fetch.get.file: is not a string",
     SHAPE},
    {"file leaves the folder", "\"file\": \"in\"}", "\"file\": \"../in\"}",
     "base:23: machine.states.fetch: '../in' is no file of the scratch folder", MEANING},
    {"file leaves it at the end", "\"file\": \"in\"}", "\"file\": \"${text}/..\"}", "is no file",
     MEANING},
    {"absolute file", "\"file\": \"in\"}", "\"file\": \"/in\"}", "'/in' is no file", MEANING},
    {"empty file", "\"file\": \"in\"}", "\"file\": \"\"}", "'' is no file", MEANING},
    {"absolute key", "\"key\": \"in/a\"", "\"key\": \"/in/a\"", "'/in/a' is no key", MEANING},
    {"key with a space", "\"key\": \"hands/${actor}\"", "\"key\": \"h s/${actor}\"",
     "base:48: machine.states.keep: 'h s/x' is no key", MEANING},
    {"reserved key", "\"key\": \"in/a\"", "\"key\": \"in/a.attempt-1\"", "is reserved", MEANING},
    {"key of messages", "\"key\": \"in/a\"", "\"key\": \"messages/a\"", "'messages/a' is reserved",
     MEANING},
    {"key of what is parked", "\"key\": \"in/a\"", "\"key\": \"parked/a\"",
     "'parked/a' is reserved", MEANING},
    {"input's key is reserved", "\"key\": \"in/${text}\"", "\"key\": \"parked/${text}\"",
     "inputs[0].key: 'parked/a' is no key", MEANING},
    {"reserved name", "\"name\": \"round-${text}\"", "\"name\": \"r.attempt-1\"",
     "'r.attempt-1' is no name of a message", MEANING},
    {"unknown member of a put", "\"key\": \"hands/${actor}\"", "\"kee\": \"hands/${actor}\"",
     "base:49: machine.states.keep.put.kee: is not expected here, only 'file', 'key', 'for'",
     SHAPE},
    {"file and text", "\"text\": \"\"}", "\"text\": \"\", \"file\": \"hand\"}",
     "base:46: machine.states.give.send: needs one of 'file' and 'text'", SHAPE},
    {"neither file nor text", ", \"text\": \"\"}", "}", "give.send: needs one of", SHAPE},
    {"unknown receiver", "\"to\": \"${first}\"", "\"to\": \"heap\"",
     "base:45: machine.states.give: the job has no actor 'heap'", MEANING},
    {"nobody there", "\"size\": 3", "\"size\": 1", NULL, MEANING},
    {"a member beyond the count", "\"to\": \"${first}\"", "\"to\": \"part-000003\"",
     "the job has no actor 'part-000003'", MEANING},
    {"member not as written", "\"to\": \"${first}\"", "\"to\": \"part-01\"",
     "the job has no actor 'part-01'", MEANING},
    {"bad message name", "\"name\": \"round-${text}\"", "\"name\": \"round/${text}\"",
     "'round/x' is no name of a message", MEANING},
    {"unknown sender", "\"from\": \"head\"", "\"from\": \"tail\"", "the job has no actor 'tail'",
     MEANING},
    {"message never sent", "\"name\": \"hand\", \"file\": \"hand\"}",
     "\"name\": \"hend\", \"file\": \"hand\"}",
     "base:42: machine.states.take: for 'part', the message 'hend' from 'head' is never sent by "
     "'head' to 'part'",
     MEANING},
    {"message of another", "\"from\": \"head\"", "\"from\": \"rest-000000\"",
     "the message 'hand' from 'rest-000000' is never sent by 'rest' to 'part'", MEANING},
    {"message to oneself", "\"from\": \"head\"", "\"from\": \"${previous}\"",
     "the message 'hand' from '*' is never sent by 'part' to 'part'", MEANING},

    /* Texts. */
    {"unknown variable in a text", "in/a\"", "in/${txt}\"",
     "base:24: machine.states.fetch.get.key: there is no variable 'txt'", MEANING},
    {"lone dollar", "$$5", "$5", "base:27: machine.states.make.run.argv[2]: has a '$'", SHAPE},
    {"open brace", "$$5", "${text", "argv[2]: has a '$'", SHAPE},
    {"number outside a point", "$$5", "${number}",
     "make.run.argv[2]: '${number}' is known only at a point", MEANING},

    /* Runs. */
    {"empty argv", "\"argv\": [\"make\", \"--price\", \"$$5\", \"${text}\"]", "\"argv\": []",
     "base:27: machine.states.make.run.argv: has 0 elements", SHAPE},
    {"shell string", "\"argv\": [\"make\", \"--price\", \"$$5\", \"${text}\"]",
     "\"argv\": \"make it\"", "make.run.argv: is not an array", SHAPE},
    {"nameless command", "\"make\", \"--price\"", "\"\", \"--price\"", "the command has no name",
     MEANING},
    {"word no string", "\"--price\"", "5", "make.run.argv[1]: is not a string", SHAPE},
    {"unknown member of a run", "\"points\": {", "\"shell\": {", "make.run.shell: is not expected",
     SHAPE},
    {"point without request", "{\"close\": {\"family\": \"rest\"}}", "{}",
     "base:32: machine.states.make.run.points.end: has 0 members", SHAPE},
    {"point that runs", "{\"close\": {\"family\": \"rest\"}}", "{\"run\": {\"argv\": [\"a\"]}}",
     "points.end: is neither 'get', 'put', 'send', 'receive', 'close' nor 'needed'", SHAPE},
    {"needed by nobody", "\"needed\": {\"actor\": \"part-${number}\"}",
     "\"needed\": {\"actor\": \"port-${number}\"}",
     "point 'worth': the job has no actor 'port-000000'", MEANING},
    {"needed without actor", "\"needed\": {\"actor\": \"part-${number}\"}", "\"needed\": {}",
     "make.run.points.worth.needed.actor: is missing", SHAPE},
    {"a state that asks who is needed",
     "\"receive\": {\"from\": \"head\", \"name\": \"hand\", \"file\": \"hand\"}",
     "\"needed\": {\"actor\": \"head\"}", "machine.states.take.needed: is not expected here",
     SHAPE},
    {"point that sends text", "\"file\": \"hand-${number}\"", "\"text\": \"hand\"",
     "a message sent at a point is a file", SHAPE},
    {"closing an actor", "{\"close\": {\"family\": \"rest\"}}",
     "{\"close\": {\"family\": \"head\"}}", "end.close.family: 'head' is no open family", MEANING},
    {"closing nobody", "{\"close\": {\"family\": \"rest\"}}", "{\"close\": {\"family\": \"rust\"}}",
     "end.close.family: there is no family 'rust'", MEANING},
    {"point to nobody", "\"to\": \"part-${number}\"", "\"to\": \"port-${number}\"",
     "base:26: machine.states.make: point 'deal': the job has no actor 'port-000000'", MEANING},

    /* Sets. */
    {"unknown variable set", "\"size\": {\"add\": 1}", "\"sise\": {\"add\": 1}",
     "base:39: machine.states.count.set.sise: there is no variable 'sise'", MEANING},
    {"built-in set", "\"size\": {\"add\": 1}", "\"index\": {\"add\": 1}",
     "count.set.index: 'index' is built in and cannot be set", MEANING},
    {"set of another type", "\"size\": {\"add\": 1}", "\"size\": \"1\"",
     "count.set.size: is neither an integer nor", MEANING},
    {"adding to a string", "\"text\": \"${actor}!\"", "\"text\": {\"add\": 1}",
     "count.set.text: the variable is not an integer", MEANING},
    {"adding a string", "{\"add\": 1}", "{\"add\": \"1\"}", "count.set.size.add: is neither",
     SHAPE},
    {"two files", "\"flag\": {\"file\": \"facts\"}", "\"flag\": {\"file\": \"fact\"}",
     "base:36: machine.states.read.set.flag.file: a 'set' reads one file, and there is 'facts'",
     MEANING},
    {"unknown member of a setting", "{\"add\": 1}", "{\"subtract\": 1}",
     "count.set.size.subtract: is not expected here, only 'add', 'file'", SHAPE},
};

enum { CHANGES = sizeof changes / sizeof changes[0] };

/* `base` with a change, for the caller to free. */
static char *changed(const struct change *change)
{
    const char *place = strstr(base, change->old);
    if (place == NULL) {
        fprintf(stderr, "%s: the base has no such words\n", change->what);
        abort();
    }
    char *text;
    const char *rest = place + strlen(change->old);
    if (asprintf(&text, "%.*s%s%s", (int)(place - base), base, change->new, rest) < 0)
        abort();
    return text;
}

static int parse(const char *text, struct job **job, struct error *error)
{
    return job_file_parse("base", text, strlen(text), NULL, 0, job, error);
}

static struct job *load(const char *text)
{
    struct job *job;
    struct error error = {0};
    if (parse(text, &job, &error) < 0)
        fail_msg("%s", error.message);
    return job;
}

/* ---- Tests --------------------------------------------------------------------------------- */

static bool says_what_is_wrong(const struct change *change)
{
    struct job *job;
    struct error error = {0};
    char *text = changed(change);
    int code = parse(text, &job, &error);
    bool good = change->error == NULL ? code == 0
                                      : code == -EINVAL && job == NULL &&
                                            strstr(error.message, change->error) != NULL;
    if (!good)
        print_error("%s: %d, '%s' without '%s'\n", change->what, code, error.message,
                    change->error != NULL ? change->error : "");
    job_free(job);
    free(text);
    return good;
}

static void each_mistake_is_named(void **state)
{
    (void)state;
    int wrong = 0;
    for (int i = 0; i < CHANGES; i++)
        wrong += !says_what_is_wrong(&changes[i]);
    assert_int_equal(wrong, 0);
}

static void everything_is_taken_over(void **state)
{
    (void)state;
    struct job *job = load(base);
    assert_string_equal(job->name, "base");
    assert_int_equal(job->variables, 4);
    assert_int_equal(job->groups, 3);
    assert_int_equal(job->group[1].count, 3);
    assert_true(job->group[2].is_open);
    assert_string_equal(job->input[0].file, "/in/a");
    assert_string_equal(job->input[0].key, "in/a");
    assert_int_equal(job->states, 8);
    const struct job_state *fetch = &job->state[0], *make = &job->state[1];
    assert_string_equal(fetch->name, "fetch");
    assert_int_equal(fetch->timeout_ms, 2500);
    assert_int_equal(fetch->retries, 1);
    assert_int_equal(fetch->priority, 0);
    assert_int_equal(fetch->next[JOB_TIMEOUT].count, 1);
    assert_int_equal(make->priority, 5);
    assert_int_equal(make->retries, 2);
    assert_true(make->timeout_varies);
    assert_int_equal(make->next[JOB_FAILED].count, 0);
    assert_int_equal(make->request.points, 4);
    assert_true(make->request.point[0].numbered);
    /* By distance from the start: fetch 0, make 1, read 2, count 3. */
    assert_int_equal(job->state[3].priority, 3);
    /* What nobody waits for longer than its sender needs. */
    assert_int_equal(job->state[4].timeout_ms, 0);
    assert_int_equal(job->state[5].timeout_ms, 300000);
    job_free(job);
}

static void variables_are_chosen(void **state)
{
    (void)state;
    struct error error = {0};
    struct job *job;
    const struct job_choice good[] = {{"size", "12"}, {"text", "z"}, {"flag", "true"}};
    assert_int_equal(job_file_parse("base", base, strlen(base), good, 3, &job, &error), 0);
    assert_int_equal(job->group[1].count, 12);
    assert_string_equal(job->input[0].file, "/in/z");
    assert_true(job->variable[2].value.integer);
    job_free(job);
    const struct {
        struct job_choice choice;
        const char *error;
    } bad[] = {
        {{"siz", "12"}, "base: the job declares no variable 'siz'"},
        {{"index", "12"}, "declares no variable 'index'"},
        {{"size", "12x"}, "the variable 'size' is an integer, not '12x'"},
        {{"size", " 1"}, "is an integer"},
        {{"size", ""}, "is an integer"},
        {{"size", "99999999999999999999"}, "is an integer"},
        {{"flag", "yes"}, "the variable 'flag' is a boolean, not 'yes'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(
            job_file_parse("base", base, strlen(base), &bad[i].choice, 1, &job, &error), -EINVAL);
        assert_null(job);
        assert_non_null(strstr(error.message, bad[i].error));
    }
}

/* A text with a part repeated, '#' in it being how often it was there before. */
static char *repeated(const char *head, const char *part, int times, const char *tail)
{
    char *text;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    fputs(head, stream);
    for (int i = 0; i < times; i++)
        for (const char *c = part; *c != '\0'; c++)
            if (*c == '#')
                fprintf(stream, "%d", i);
            else
                fputc(*c, stream);
    fputs(tail, stream);
    fclose(stream);
    return text;
}

#define HEAD "{\"format\":1,\"job\":\"j\",\"variables\":{\"v\":1},\"actors\":["
#define ONE "{\"name\":\"a\"}"
#define MACHINE "],\"machine\":{\"start\":\"s\",\"states\":{\"s\":{"
#define TAIL "\"on\":{\"ok\":\"end\"}},\"end\":{\"quit\":{}}}}}"

static void limits_hold(void **state)
{
    (void)state;
    static const struct {
        const char *head, *part, *tail, *error;
        int most;
    } limits[] = {
        {HEAD ONE, ",{\"name\":\"a#\"}", MACHINE "\"set\":{}," TAIL, "actors: has", 99},
        {HEAD ONE MACHINE "\"run\":{\"argv\":[\"a\"", ",\"w#\"", "]}," TAIL, "argv: has", 255},
        {HEAD ONE MACHINE "\"run\":{\"argv\":[\"a\"],\"points\":{\"q\":{\"get\":{\"key\":\"k\","
                          "\"file\":\"f\"}}",
         ",\"p#\":{\"get\":{\"key\":\"k\",\"file\":\"f\"}}", "}}," TAIL, "points: has", 15},
        {HEAD ONE MACHINE "\"run\":{\"argv\":[\"", "xxxxxxxx", "\"]}," TAIL, "more than 16384",
         2048},
        {HEAD ONE MACHINE "\"run\":{\"argv\":[\"", "x${v}", "\"]}," TAIL, "parts", 32},
        {HEAD ONE MACHINE "\"get\":{\"key\":\"", "x", "\",\"file\":\"f\"}," TAIL, "is no key", 255},
        {HEAD ONE MACHINE "\"get\":{\"key\":\"k", "/x", "\",\"file\":\"f\"}," TAIL, "is no key",
         255},
        {HEAD ONE MACHINE "\"on\":{\"ok\":[",
         "{\"if\":{\"variable\":\"v\",\"is\":#},\"to\":\"end\"},",
         "{\"to\":\"end\"}]},\"set\":{}},\"end\":{\"quit\":{}}}}}", "ok: has", 31},
        {HEAD ONE MACHINE "\"on\":{\"ok\":[{\"to\":\"end\",\"if\":{\"all\":[",
         "{\"variable\":\"v\",\"is\":#},",
         "{\"not\":{\"variable\":\"v\",\"is\":1}}]}},{\"to\":\"end\"}]},\"set\":{}},\"end\":{"
         "\"quit\":{}}}}}",
         "parts", 61},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        char *fits = repeated(limits[i].head, limits[i].part, limits[i].most, limits[i].tail);
        char *bursts = repeated(limits[i].head, limits[i].part, limits[i].most + 1, limits[i].tail);
        struct job *job = load(fits);
        struct error error = {0};
        job_free(job);
        assert_int_equal(parse(bursts, &job, &error), -EINVAL);
        if (strstr(error.message, limits[i].error) == NULL)
            fail_msg("%s", error.message);
        free(fits);
        free(bursts);
    }
}

static void guards_are_not_nested_for_ever(void **state)
{
    (void)state;
    for (int depth = 7; depth <= 8; depth++) {
        char guard[200] = "{\"variable\":\"v\",\"is\":1}", deeper[200];
        for (int i = 0; i < depth; i++) {
            snprintf(deeper, sizeof deeper, "{\"not\":%.150s}", guard);
            memcpy(guard, deeper, sizeof guard);
        }
        char *text;
        assert_true(asprintf(&text,
                             HEAD ONE MACHINE
                             "\"set\":{},\"on\":{\"ok\":[{\"if\":%s,\"to\":"
                             "\"end\"},{\"to\":\"end\"}]}},\"end\":{\"quit\":{}}}}}",
                             guard) > 0);
        struct job *job;
        struct error error = {0};
        assert_int_equal(parse(text, &job, &error), depth == 7 ? 0 : -EINVAL);
        assert_true(depth == 7 || strstr(error.message, "nested deeper than 8") != NULL);
        job_free(job);
        free(text);
    }
}

static void deep_json_is_refused(void **state)
{
    (void)state;
    char *text = repeated("", "[", 100000, "");
    struct job *job;
    struct error error = {0};
    assert_int_equal(parse(text, &job, &error), -EINVAL);
    assert_non_null(strstr(error.message, "base:1: maximum parsing depth"));
    free(text);
}

static void files_are_read(void **state)
{
    (void)state;
    char path[] = "/tmp/excamera-test-job-XXXXXX";
    struct job *job;
    struct error error = {0};
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, base, strlen(base)), (ssize_t)strlen(base));
    assert_int_equal(job_file_load(path, NULL, 0, &job, NULL, NULL, &error), 0);
    job_free(job);
    assert_int_equal(ftruncate(file, JOB_MOST_BYTES + 1), 0);
    assert_int_equal(job_file_load(path, NULL, 0, &job, NULL, NULL, &error), -EINVAL);
    assert_non_null(strstr(error.message, "too long for a job file"));
    assert_int_equal(close(file), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(job_file_load(path, NULL, 0, &job, NULL, NULL, &error), -ENOENT);
    assert_non_null(strstr(error.message, path));
    assert_int_equal(job_file_load("/tmp", NULL, 0, &job, NULL, NULL, &error), -EISDIR);
    assert_null(job);
}

/* Line numbers count through members and elements of every kind before the place. */
static void lines_are_counted_through_everything(void **state)
{
    (void)state;
    static const char text[] =
        "{ \"x\\\"{\\\\\" :\n [1, {\n\"a\": \"]}\\\"\",\n\"b\":\n[\n[],{}]}\n,"
        "true]\n, \"job\":null,\n\"form\\u0061t\" : 2}";
    struct job *job;
    struct error error = {0};
    assert_int_equal(parse(text, &job, &error), -EINVAL);
    assert_string_equal(error.message, "base:9: format: is not in [1, 1]");
}

/* ---- For job_schema.py --------------------------------------------------------------------- */

static void print_case(const char *what, const char *text, bool loads, bool tell)
{
    json_t *line = json_pack("{s:s, s:s%, s:b, s:b}", "what", what, "text", text, strlen(text),
                             "loads", loads, "schema", tell);
    if (line == NULL) /* not UTF-8 */
        return;
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(line);
}

static int print_cases(void)
{
    print_case("base", base, true, true);
    for (int i = 0; i < CHANGES; i++) {
        char *text = changed(&changes[i]);
        print_case(changes[i].what, text, changes[i].error == NULL, changes[i].in_schema);
        free(text);
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_is_named),
        cmocka_unit_test(everything_is_taken_over),
        cmocka_unit_test(variables_are_chosen),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(guards_are_not_nested_for_ever),
        cmocka_unit_test(deep_json_is_refused),
        cmocka_unit_test(files_are_read),
        cmocka_unit_test(lines_are_counted_through_everything),
    };
    if (argc > 1 && strcmp(argv[1], "cases") == 0)
        return print_cases();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
