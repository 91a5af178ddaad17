/* The subcommands of `excamera lambda`, as commands of their own (cli/commands.h): argv[0] is the
 * subcommand's name. */
#ifndef CLI_LAMBDA_H
#define CLI_LAMBDA_H

/* The runtime of a function: serves Lambda's events until the instance is ended. */
int lambda_bootstrap(int argc, char **argv);
/* Builds the function's package; see docs/lambda.md. */
int lambda_package(int argc, char **argv);
/* The function itself, in one region or several: made, changed, removed. */
int lambda_deploy(int argc, char **argv);
int lambda_update(int argc, char **argv);
int lambda_delete(int argc, char **argv);

#endif
