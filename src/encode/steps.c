#include "encode/steps.h"

#include <stdio.h>

const char *steps_name(enum graph_step step)
{
    static const char *const name[GRAPH_STEPS] = {
        [GRAPH_ENCODE] = "encode", [GRAPH_DECODE] = "decode", [GRAPH_REENCODE] = "reencode",
        [GRAPH_REBASE] = "rebase", [GRAPH_WRITE] = "write",
    };
    return name[step];
}

/* What each step calls its inputs, in the order of graph.h's table. */
static const char *const input_option[GRAPH_STEPS][GRAPH_MOST_INPUTS] = {
    [GRAPH_ENCODE] = {"--raw"},
    [GRAPH_DECODE] = {"--chunk"},
    [GRAPH_REENCODE] = {"--state", "--raw", "--chunk"},
    [GRAPH_REBASE] = {"--state", "--made-for", "--raw", "--chunk"},
};

/* argv is not const-correct by tradition; its words are only read. */
static void add_word(struct steps_command *command, const char *word)
{
    command->argv[command->words++] = (char *)word;
    command->argv[command->words] = NULL;
}

static void add_files(struct steps_command *command, const struct graph_task *task)
{
    for (int i = 0; i < task->inputs; i++) {
        scratch_name(task->input[i], command->input[i]);
        add_word(command, input_option[task->step][i]);
        add_word(command, command->input[i]);
    }
    for (int i = 0; i < task->outputs; i++) {
        enum graph_file file = task->output[i].file;
        bool is_state = file == GRAPH_APPROXIMATE || file == GRAPH_EXACT;
        scratch_name(task->output[i], command->output[i]);
        add_word(command, is_state ? "--out-state" : "--out-chunk");
        add_word(command, command->output[i]);
    }
}

void steps_command(const struct graph_task *task, const struct steps_settings *settings,
                   struct steps_command *command)
{
    command->words = 0;
    add_word(command, "excamera");
    add_word(command, "task");
    add_word(command, steps_name(task->step));
    add_files(command, task);
    if (task->step != GRAPH_ENCODE && task->step != GRAPH_REENCODE)
        return;
    snprintf(command->quality, sizeof command->quality, "%d", settings->quality);
    snprintf(command->cpu_used, sizeof command->cpu_used, "%d", settings->cpu_used);
    add_word(command, "--quality");
    add_word(command, command->quality);
    add_word(command, "--cpu-used");
    add_word(command, command->cpu_used);
    if (task->step == GRAPH_ENCODE && task->chunk.index > 0)
        add_word(command, "--stand-in");
}
